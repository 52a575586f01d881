/*
 * A tiny bare guest for tests of the KVM layer: one or more processors, 2 MiB of
 * RAM, page tables for the first and the fourth GiB, and a device that records
 * what the guest does.
 *
 *   0x1000  page tables      0x6000 IDT (64 gates)     0x8000 code of other processors
 *   0x9000  top of stack     0x10000 the code          0x20000 data
 *
 * Included by one .c per test program. Tests skip, with a reason, where /dev/kvm
 * can't be opened.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <pthread.h>
#include <cmocka.h>

#include "vmm/base/util.h"
#include "vmm/core/bus.h"
#include "vmm/core/gmem.h"
#include "vmm/kvm/fault.h"
#include "vmm/kvm/kvm.h"
#include "vmm/kvm/vcpu.h"

#define GUEST_RAM    (2 * MIB)
#define GUEST_TABLES 0x1000
#define GUEST_GDT    0x500
#define GUEST_IDTR   0x5f0
#define GUEST_IDT    0x6000
#define GUEST_AP     0x8000
#define GUEST_STACK  0x9000
#define GUEST_CODE   0x10000
#define GUEST_DATA   0x20000

#define GUEST_PORT 0x500 /* 64 ports: the device; a write to the last byte means "done" */
#define GUEST_DONE 0x53f
#define GUEST_MMIO 0xd0000000

enum {
	GUEST_CPUS_MAX = 255,
	GUEST_LOG_MAX = 4096,
	GUEST_WAIT_S = 60 /* generous: interpreted guests on a busy machine */
};

/* Machine code from assembly text: GUEST_ASM(name, "nop\n …") gives name[] and name_end[]. */
#define GUEST_ASM(name, text)                                                                      \
	__asm__(".pushsection .rodata\n.code64\n" #name ":\n" text "\n" #name                      \
		"_end:\n.code64\n.popsection\n");                                                  \
	extern const uint8_t name[], name##_end[]

/* The guest says that it is done, and waits. */
#define GUEST_FINISH "mov $0x53f, %edx\n out %al, (%dx)\n 98: cli\n hlt\n jmp 98b\n"

struct guest_access {
	bool is_mmio, is_write;
	uint64_t offset, value;
	unsigned size;
};

struct guest {
	struct kvm kvm;
	struct gmem mem;
	struct bus pio, mmio;
	struct vcpu *vcpus[GUEST_CPUS_MAX];
	unsigned cpu_count;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned done; /* writes to GUEST_DONE */
	struct guest_access log[GUEST_LOG_MAX];
	unsigned log_count;
	bool has_event;
	enum vcpu_event event;
	char sentence[600];
	uint64_t read_value; /* what device reads give, its low bytes */

	/* May be set by a test; on the vCPU's thread. */
	void (*on_write)(struct guest *guest, uint64_t offset, uint64_t value);
};

/* ---- The device ---- */

static inline void guest_log(struct guest *guest, bool is_mmio, bool is_write, uint64_t offset,
	unsigned size, uint64_t value)
{
	pthread_mutex_lock(&guest->lock);
	if (!is_mmio && is_write && offset == GUEST_DONE - GUEST_PORT) {
		guest->done++;
		pthread_cond_broadcast(&guest->changed);
	} else if (guest->log_count < GUEST_LOG_MAX) {
		guest->log[guest->log_count++] =
			(struct guest_access){is_mmio, is_write, offset, value, size};
	}
	pthread_mutex_unlock(&guest->lock);
}

static inline uint64_t guest_port_read(void *opaque, uint64_t offset, unsigned size)
{
	struct guest *guest = opaque;

	guest_log(guest, false, false, offset, size, 0);
	return guest->read_value;
}

static inline void guest_port_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct guest *guest = opaque;

	if (guest->on_write)
		guest->on_write(guest, offset, value);
	guest_log(guest, false, true, offset, size, value);
}

static inline uint64_t guest_mmio_read(void *opaque, uint64_t offset, unsigned size)
{
	struct guest *guest = opaque;

	guest_log(guest, true, false, offset, size, 0);
	return guest->read_value;
}

static inline void guest_mmio_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	guest_log(opaque, true, true, offset, size, value);
}

static inline void guest_event(void *opaque, struct vcpu *vcpu, enum vcpu_event event)
{
	struct guest *guest = opaque;

	pthread_mutex_lock(&guest->lock);
	guest->event = event;
	guest->has_event = true;
	vcpu_explain_sentence(vcpu, guest->sentence, sizeof(guest->sentence));
	pthread_cond_broadcast(&guest->changed);
	pthread_mutex_unlock(&guest->lock);
}

/* ---- Memory ---- */

static inline void guest_put64(struct guest *guest, gpa_t at, uint64_t value)
{
	assert_int_equal(gmem_write(&guest->mem, at, &value, sizeof(value)), 0);
}

static inline uint64_t guest_get64(struct guest *guest, gpa_t at)
{
	const uint64_t *host = gmem_ptr(&guest->mem, at, 8);

	assert_non_null(host);
	return __atomic_load_n(host, __ATOMIC_RELAXED);
}

static inline void guest_put_code(
	struct guest *guest, gpa_t at, const uint8_t *code, const uint8_t *end)
{
	assert_int_equal(gmem_write(&guest->mem, at, code, (uint64_t)(end - code)), 0);
}

/* A 64-bit interrupt gate to `handler`, a label inside the code at GUEST_CODE. */
static inline void guest_put_gate(
	struct guest *guest, unsigned vector, const uint8_t *code, const uint8_t *handler)
{
	uint64_t at = GUEST_CODE + (uint64_t)(handler - code);

	guest_put64(guest, GUEST_IDT + vector * 16,
		(at & 0xffff) | UINT64_C(0x10) << 16 | UINT64_C(0x8e00) << 32 |
			(at >> 16 & 0xffff) << 48);
	guest_put64(guest, GUEST_IDT + vector * 16 + 8, 0);
}

static inline void guest_put_tables(struct guest *guest)
{
	const uint64_t pml4 = GUEST_TABLES, pdpt = pml4 + 0x1000, low = pml4 + 0x2000,
		       high = pml4 + 0x3000;
	const uint8_t idtr[10] = {0xff, 0x03, GUEST_IDT & 0xff, GUEST_IDT >> 8};

	guest_put64(guest, pml4, pdpt | 3);
	guest_put64(guest, pdpt, low | 3);
	guest_put64(guest, pdpt + 24, high | 3);
	for (uint64_t i = 0; i < 512; i++) {
		guest_put64(guest, low + i * 8, i * 2 * MIB | 0x83);
		guest_put64(guest, high + i * 8, (3 * GIB + i * 2 * MIB) | 0x83);
	}
	/* 0x08 32-bit code, 0x10 64-bit code, 0x18 data. */
	guest_put64(guest, GUEST_GDT + 0x08, UINT64_C(0x00cf9b000000ffff));
	guest_put64(guest, GUEST_GDT + 0x10, UINT64_C(0x00af9b000000ffff));
	guest_put64(guest, GUEST_GDT + 0x18, UINT64_C(0x00cf93000000ffff));
	assert_int_equal(gmem_write(&guest->mem, GUEST_IDTR, idtr, sizeof(idtr)), 0);
}

/* ---- Life ---- */

static inline int guest_setup(void **state)
{
	static struct guest guest;
	static const struct bus_ops port_ops = {.read = guest_port_read, .write = guest_port_write};
	static const struct bus_ops mmio_ops = {.read = guest_mmio_read, .write = guest_mmio_write};
	const struct gmem_config config = {
		.size = GUEST_RAM, .hole_start = 3 * GIB, .high_base = 4 * GIB};
	struct err err = ERR_INIT;

	memset(&guest, 0, sizeof(guest));
	pthread_mutex_init(&guest.lock, NULL);
	pthread_cond_init(&guest.changed, NULL);
	*state = NULL;
	if (kvm_open(&guest.kvm, &err) < 0) {
		printf("skip: %s\n", err.text);
		return 0;
	}
	*state = &guest;
	assert_int_equal(gmem_init(&guest.mem, &config, &err), 0);
	guest_put_tables(&guest);
	bus_init(&guest.pio, "port");
	bus_init(&guest.mmio, "MMIO");
	assert_int_equal(
		bus_add(&guest.pio,
			&(struct bus_range){GUEST_PORT, 64, &port_ops, &guest, NULL, "test"}, &err),
		0);
	assert_int_equal(
		bus_add(&guest.mmio,
			&(struct bus_range){GUEST_MMIO, 4096, &mmio_ops, &guest, NULL, "test"},
			&err),
		0);
	bus_freeze(&guest.pio);
	bus_freeze(&guest.mmio);
	assert_int_equal(
		kvm_set_memory(&guest.kvm, 0, 0, GUEST_RAM, guest.mem.regions[0].host, 0, &err), 0);
	return 0;
}

/* Stops and frees the processors and KVM's machine; guest_start() may follow. */
static inline void guest_halt(struct guest *guest)
{
	for (unsigned i = 0; i < guest->cpu_count; i++)
		if (guest->vcpus[i])
			vcpu_request_stop(guest->vcpus[i]);
	for (unsigned i = 0; i < guest->cpu_count; i++) {
		vcpu_destroy(guest->vcpus[i]);
		guest->vcpus[i] = NULL;
	}
	guest->cpu_count = 0;
	kvm_destroy_vm(&guest->kvm);
}

static inline int guest_teardown(void **state)
{
	struct guest *guest = *state;

	if (!guest)
		return 0;
	guest_halt(guest);
	kvm_finish(&guest->kvm);
	gmem_finish(&guest->mem);
	pthread_cond_destroy(&guest->changed);
	pthread_mutex_destroy(&guest->lock);
	return 0;
}

/* The reason was printed by guest_setup(). */
#define GUEST_OR_SKIP(state)                                                                       \
	({                                                                                         \
		if (!*(state))                                                                     \
			skip();                                                                    \
		(struct guest *)*(state);                                                          \
	})

/* Makes KVM's machine and `cpus` processors; the first is to enter the code at GUEST_CODE. */
static inline void guest_make(struct guest *guest, unsigned cpus, enum cpu_entry_mode mode)
{
	const struct vcpu_env env = {.pio = &guest->pio,
		.mmio = &guest->mmio,
		.mem = &guest->mem,
		.event = guest_event,
		.opaque = guest};
	const struct cpu_entry entry = {.mode = mode,
		.rip = GUEST_CODE,
		.rsp = GUEST_STACK,
		.rsi = 0x1111,
		.rbx = 0x2222,
		.cr3 = GUEST_TABLES,
		.gdt_base = GUEST_GDT,
		.gdt_limit = 0x1f,
		.code_selector = mode == CPU_ENTRY_LONG64 ? 0x10 : 0x08,
		.data_selector = 0x18};
	struct err err = ERR_INIT;

	if (kvm_create_vm(&guest->kvm, &err) < 0)
		fail_msg("%s", err.text);
	guest->done = 0;
	guest->has_event = false;
	guest->cpu_count = cpus;
	for (unsigned i = 0; i < cpus; i++)
		if (vcpu_create(&guest->vcpus[i], &guest->kvm, i, cpus, &env, &err) < 0)
			fail_msg("%s", err.text);
	if (vcpu_set_entry(guest->vcpus[0], &entry, &err) < 0)
		fail_msg("%s", err.text);
}

static inline void guest_run(struct guest *guest)
{
	struct err err = ERR_INIT;

	for (unsigned i = 0; i < guest->cpu_count; i++)
		if (vcpu_start(guest->vcpus[i], &err) < 0)
			fail_msg("%s", err.text);
}

static inline void guest_start(struct guest *guest, const uint8_t *code, const uint8_t *end)
{
	guest_put_code(guest, GUEST_CODE, code, end);
	guest_make(guest, 1, CPU_ENTRY_LONG64);
	guest_run(guest);
}

static inline bool guest_wait(struct guest *guest, unsigned done)
{
	struct timespec deadline;
	bool ok;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += GUEST_WAIT_S;
	pthread_mutex_lock(&guest->lock);
	while (guest->done < done && !guest->has_event)
		if (pthread_cond_timedwait(&guest->changed, &guest->lock, &deadline))
			break;
	ok = guest->done >= done;
	pthread_mutex_unlock(&guest->lock);
	return ok;
}

/* Waits until the guest has said `done` times that it is done. */
static inline void guest_expect_done(struct guest *guest, unsigned done)
{
	if (!guest_wait(guest, done))
		fail_msg("the guest was done %u times, not %u; %s", guest->done, done,
			guest->has_event ? guest->sentence : "time is up");
}

static inline void guest_expect_event(struct guest *guest, enum vcpu_event event)
{
	guest_wait(guest, UINT32_MAX);
	if (!guest->has_event)
		fail_msg("no event came");
	if (guest->event != event)
		fail_msg("not the event expected: %s", guest->sentence);
}

static inline void guest_sleep_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}
