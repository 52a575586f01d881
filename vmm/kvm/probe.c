/*
 * See probe.h. The guests' code is in probe_code.c.
 *
 * Each probe makes a machine, lets one processor run until the guest tells its
 * result, the processor reports an event, or the time is up, and takes the machine down. The
 * vCPU's thread serves the guest's ports; the caller's thread waits.
 *
 * Source of the tables: AMD APM vol. 2, 4.8 (descriptors), 5.3 (page tables), 8.9 (gates).
 */
#include "vmm/kvm/probe.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "vmm/core/bus.h"
#include "vmm/core/gmem.h"
#include "vmm/kvm/fault.h"
#include "vmm/kvm/irqchip.h"
#include "vmm/kvm/probe_code.h"
#include "vmm/kvm/vcpu.h"

enum {
	/*
	 * A guest that says nothing is tried twice, the second time with more patience: on a busy
	 * host it may not have had a processor. What all of them may wait for nothing is limited.
	 */
	FIRST_LIMIT_MS = 500,
	SECOND_LIMIT_MS = 1500,
	FRUITLESS_LIMIT_MS = 2200,
	LOOP_ENOUGH_MS = 20,   /* of one measurement: long against an exit */
	LOOP_FIRST = 2000,     /* turns */
	LOOP_INSTRUCTIONS = 2, /* a turn */
	CODE_SELECTOR = 0x10,
	DATA_SELECTOR = 0x18
};

/* Page table bits. */
#define PRESENT_WRITABLE 3u
#define LARGE_PAGE	 0x80u

struct probe_guest {
	struct kvm *kvm;
	enum probe_id id;
	int limit_ms;	  /* for this try */
	int fruitless_ms; /* waited for nothing so far, by all probes */
	struct gmem mem;
	struct bus pio, mmio;
	struct vcpu *vcpu;
	struct irq_line level, edge;
	int bell; /* eventfd */

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	bool has_result, has_event;
	uint32_t result;
	char event[240]; /* the event explained */

	/* PROBE_LOOP; the vCPU's thread only, until has_result */
	uint64_t started_ns;
	uint32_t turns;
	double mips;
};

/* ---- The guest's ports: on the vCPU's thread ---- */

static void finish_with(struct probe_guest *guest, uint32_t result)
{
	pthread_mutex_lock(&guest->lock);
	guest->has_result = true;
	guest->result = result;
	pthread_cond_broadcast(&guest->changed);
	pthread_mutex_unlock(&guest->lock);
}

/* What this thread had of a processor: a busy host does not make the guest look slow. */
static uint64_t thread_time_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* Ever longer loops, until one lasts long enough to be measured. */
static void loop_ended(struct probe_guest *guest)
{
	uint64_t took_ns = thread_time_ns() - guest->started_ns;

	guest->mips = (double)guest->turns * LOOP_INSTRUCTIONS * 1000.0 / (double)(took_ns + 1);
	if (took_ns >= LOOP_ENOUGH_MS * UINT64_C(1000000) || guest->turns > UINT32_MAX / 4)
		finish_with(guest, PROBE_RESULT_GOOD);
	guest->turns = guest->turns > UINT32_MAX / 4 ? guest->turns : guest->turns * 4;
}

static void ready(struct probe_guest *guest)
{
	if (guest->id == PROBE_LEVEL_IRQ)
		irq_set(&guest->level, true);
	else if (guest->id == PROBE_IRQFD)
		irq_pulse(&guest->edge);
	else if (guest->id == PROBE_MSI)
		kvm_msi_send(guest->kvm, 0xfee00000, PROBE_VECTOR_MSI);
}

static uint64_t port_read(void *opaque, uint64_t offset, unsigned size)
{
	struct probe_guest *guest = opaque;

	(void)size;
	switch (offset + PROBE_PORT_RESULT) {
	case PROBE_PORT_COUNT:
		guest->started_ns = thread_time_ns();
		return guest->turns;
	case PROBE_PORT_ACK:
		irq_set(&guest->level, false);
		return 0;
	default:
		return 0;
	}
}

static void port_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct probe_guest *guest = opaque;

	(void)size;
	switch (offset + PROBE_PORT_RESULT) {
	case PROBE_PORT_RESULT:
		if (guest->id == PROBE_LOOP)
			loop_ended(guest);
		else
			finish_with(guest, (uint32_t)value);
		break;
	case PROBE_PORT_READY:
		ready(guest);
		break;
	default:
		break;
	}
}

static const struct bus_ops port_ops = {.read = port_read, .write = port_write};

static void on_event(void *opaque, struct vcpu *vcpu, enum vcpu_event event)
{
	struct probe_guest *guest = opaque;

	(void)event;
	pthread_mutex_lock(&guest->lock);
	vcpu_explain_sentence(vcpu, guest->event, sizeof(guest->event));
	guest->has_event = true;
	pthread_cond_broadcast(&guest->changed);
	pthread_mutex_unlock(&guest->lock);
}

/* ---- The guest's memory ---- */

static void put_le64(struct gmem *mem, gpa_t at, uint64_t value)
{
	ASSERT(gmem_write(mem, at, &value, sizeof(value)) == 0);
}

/* The first and the fourth GiB, one to one, in pages of 2 MiB: memory, and the APICs. */
static void put_page_tables(struct gmem *mem)
{
	const gpa_t pml4 = PROBE_TABLES, pdpt = pml4 + 0x1000, low = pml4 + 0x2000,
		    high = pml4 + 0x3000;

	put_le64(mem, pml4, pdpt | PRESENT_WRITABLE);
	put_le64(mem, pdpt, low | PRESENT_WRITABLE);
	put_le64(mem, pdpt + 3 * 8, high | PRESENT_WRITABLE);
	for (uint64_t i = 0; i < 512; i++) {
		put_le64(mem, low + i * 8, i * 2 * MIB | PRESENT_WRITABLE | LARGE_PAGE);
		put_le64(
			mem, high + i * 8, (3 * GIB + i * 2 * MIB) | PRESENT_WRITABLE | LARGE_PAGE);
	}
}

static void put_gate(struct gmem *mem, unsigned vector, const uint8_t *handler)
{
	uint64_t at = PROBE_CODE + (uint64_t)(handler - probe_code);
	uint64_t gate = (at & 0xffff) | (uint64_t)CODE_SELECTOR << 16 | UINT64_C(0x8e00) << 32 |
		(at >> 16 & 0xffff) << 48;

	put_le64(mem, PROBE_IDT + vector * 16, gate);
	put_le64(mem, PROBE_IDT + vector * 16 + 8, at >> 32);
}

static void put_descriptors(struct gmem *mem)
{
	uint8_t idtr[10];

	put_le64(mem, PROBE_GDT + CODE_SELECTOR, UINT64_C(0x00af9b000000ffff));
	put_le64(mem, PROBE_GDT + DATA_SELECTOR, UINT64_C(0x00cf93000000ffff));
	put_gate(mem, PROBE_VECTOR_INT3, probe_code_on_int3);
	put_gate(mem, PROBE_VECTOR_LEVEL, probe_code_on_level);
	put_gate(mem, PROBE_VECTOR_EDGE, probe_code_on_edge);
	put_gate(mem, PROBE_VECTOR_MSI, probe_code_on_msi);
	store_le16(idtr, PROBE_VECTORS * 16 - 1);
	store_le64(idtr + 2, PROBE_IDT);
	ASSERT(gmem_write(mem, PROBE_IDTR, idtr, sizeof(idtr)) == 0);
}

static int make_memory(struct probe_guest *guest, struct err *err)
{
	const struct gmem_config config = {
		.size = PROBE_MEMORY, .hole_start = 3 * GIB, .high_base = 4 * GIB};
	size_t code_len = (size_t)(probe_code_end - probe_code);
	int ret = gmem_init(&guest->mem, &config, err);

	if (ret < 0)
		return ret;
	put_page_tables(&guest->mem);
	put_descriptors(&guest->mem);
	ASSERT(gmem_write(&guest->mem, PROBE_CODE, probe_code, code_len) == 0);
	return 0;
}

/* ---- One probe ---- */

static const uint8_t *entry_of(enum probe_id id)
{
	switch (id) {
	case PROBE_LOOP:
		return probe_code_loop;
	case PROBE_CMPXCHG16B:
		return probe_code_cmpxchg16b;
	case PROBE_INT3:
		return probe_code_int3;
	case PROBE_XSAVE:
		return probe_code_xsave;
	case PROBE_IOEVENTFD_PIO:
		return probe_code_bell_pio;
	case PROBE_IOEVENTFD_MMIO:
		return probe_code_bell_mmio;
	default:
		return probe_code_interrupt;
	}
}

static int make_processor(struct probe_guest *guest, struct err *err)
{
	const struct vcpu_env env = {.pio = &guest->pio,
		.mmio = &guest->mmio,
		.mem = &guest->mem,
		.event = on_event,
		.opaque = guest};
	const struct cpu_entry entry = {.mode = CPU_ENTRY_LONG64,
		.rip = PROBE_CODE + (uint64_t)(entry_of(guest->id) - probe_code),
		.rsp = PROBE_STACK,
		.cr3 = PROBE_TABLES,
		.gdt_base = PROBE_GDT,
		.gdt_limit = DATA_SELECTOR + 7,
		.code_selector = CODE_SELECTOR,
		.data_selector = DATA_SELECTOR};
	int ret = vcpu_create(&guest->vcpu, guest->kvm, 0, 1, &env, err);

	return ret < 0 ? ret : vcpu_set_entry(guest->vcpu, &entry, err);
}

static int make_machine(struct probe_guest *guest, struct err *err)
{
	const struct gmem_region *ram = &guest->mem.regions[0];
	int ret = kvm_set_memory(guest->kvm, 0, ram->base, ram->size, ram->host, 0, err);

	if (ret == 0)
		ret = kvm_create_vm(guest->kvm, err);
	return ret < 0 ? ret : make_processor(guest, err);
}

static struct timespec deadline_after_ms(int ms)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_nsec += ms % 1000 * 1000000L;
	at.tv_sec += ms / 1000 + at.tv_nsec / 1000000000L;
	at.tv_nsec %= 1000000000L;
	return at;
}

static void wait_for_end(struct probe_guest *guest)
{
	struct timespec deadline = deadline_after_ms(guest->limit_ms);

	pthread_mutex_lock(&guest->lock);
	while (!guest->has_result && !guest->has_event)
		if (pthread_cond_timedwait(&guest->changed, &guest->lock, &deadline))
			break;
	pthread_mutex_unlock(&guest->lock);
}

static uint32_t expected_result(enum probe_id id)
{
	switch (id) {
	case PROBE_LEVEL_IRQ:
		return PROBE_VECTOR_LEVEL;
	case PROBE_IRQFD:
		return PROBE_VECTOR_EDGE;
	case PROBE_MSI:
		return PROBE_VECTOR_MSI;
	default:
		return PROBE_RESULT_GOOD;
	}
}

static const char *silence_text(enum probe_id id)
{
	switch (id) {
	case PROBE_LEVEL_IRQ:
	case PROBE_IRQFD:
	case PROBE_MSI:
		return "the interrupt did not arrive";
	default:
		return "the guest came to no result";
	}
}

static bool bell_was_rung(const struct probe_guest *guest)
{
	eventfd_t rings;

	if (guest->id != PROBE_IOEVENTFD_PIO && guest->id != PROBE_IOEVENTFD_MMIO)
		return true;
	return eventfd_read(guest->bell, &rings) == 0 && rings == 1;
}

/* The processor stands still. */
static void judge(const struct probe_guest *guest, struct probe_result *result)
{
	result->outcome = PROBE_FAILED;
	if (guest->has_event)
		snprintf(result->detail, sizeof(result->detail), "%s", guest->event);
	else if (!guest->has_result)
		snprintf(result->detail, sizeof(result->detail), "%s within %d ms",
			silence_text(guest->id), guest->limit_ms);
	else if (guest->id == PROBE_XSAVE && guest->result == PROBE_RESULT_ABSENT)
		result->outcome = PROBE_ABSENT;
	else if (guest->result != expected_result(guest->id))
		snprintf(result->detail, sizeof(result->detail), "the guest got a wrong result");
	else if (!bell_was_rung(guest))
		snprintf(result->detail, sizeof(result->detail), "the eventfd was not signalled");
	else
		result->outcome = PROBE_OK;
	if (guest->id == PROBE_LOOP)
		result->mips = guest->mips;
}

static int run_guest(struct probe_guest *guest, struct probe_result *result, struct err *err)
{
	int ret = make_machine(guest, err);

	if (ret == 0)
		ret = vcpu_start(guest->vcpu, err);
	if (ret == 0) {
		wait_for_end(guest);
		vcpu_stop(guest->vcpu);
		judge(guest, result);
	}
	vcpu_destroy(guest->vcpu);
	guest->vcpu = NULL;
	kvm_destroy_vm(guest->kvm);
	return ret;
}

static void prepare(struct probe_guest *guest, enum probe_id id)
{
	static const uint8_t zeros[4096];
	eventfd_t stale;

	guest->id = id;
	guest->has_result = guest->has_event = false;
	guest->turns = LOOP_FIRST;
	irq_set(&guest->level, false);
	(void)eventfd_read(guest->bell, &stale);
	ASSERT(gmem_write(&guest->mem, PROBE_DATA, zeros, sizeof(zeros)) == 0);
}

static int run_probe(
	struct probe_guest *guest, enum probe_id id, struct probe_result *result, struct err *err)
{
	static const int limits_ms[] = {FIRST_LIMIT_MS, SECOND_LIMIT_MS};
	int ret = 0;

	for (size_t i = 0; i < ARRAY_SIZE(limits_ms) && ret == 0; i++) {
		guest->limit_ms = MIN(limits_ms[i], FRUITLESS_LIMIT_MS - guest->fruitless_ms);
		if (guest->limit_ms <= 0)
			break;
		prepare(guest, id);
		ret = run_guest(guest, result, err);
		if (guest->has_result || guest->has_event)
			return ret;
		guest->fruitless_ms += guest->limit_ms;
	}
	if (result->outcome == PROBE_SKIPPED)
		snprintf(result->detail, sizeof(result->detail), "no time was left for it");
	return ret;
}

/* ---- All of them ---- */

static int connect_doorbells(struct probe_guest *guest, struct err *err)
{
	int ret = kvm_ioeventfd(guest->kvm, true, PROBE_PORT_BELL, 4, 7, guest->bell, true);

	if (ret == 0)
		ret = kvm_ioeventfd(guest->kvm, false, PROBE_MMIO_BELL, 4, 7, guest->bell, true);
	if (ret < 0)
		return err_set(err, EXIT_CODE_KVM, -ret, "KVM does not connect a doorbell: %s",
			strerror(-ret));
	return 0;
}

static int connect_guest(struct probe_guest *guest, struct err *err)
{
	const struct bus_range ports = {.base = PROBE_PORT_RESULT,
		.size = PROBE_PORT_ACK + 4 - PROBE_PORT_RESULT,
		.ops = &port_ops,
		.opaque = guest,
		.name = "probe"};
	int ret;

	bus_init(&guest->pio, "port");
	bus_init(&guest->mmio, "MMIO");
	ret = bus_add(&guest->pio, &ports, err);
	if (ret == 0)
		ret = kvm_irq_connect(guest->kvm, PROBE_LEVEL_PIN, true, &guest->level, err);
	if (ret == 0)
		ret = kvm_irq_connect(guest->kvm, PROBE_EDGE_PIN, false, &guest->edge, err);
	return ret < 0 ? ret : connect_doorbells(guest, err);
}

static int init_guest(struct probe_guest *guest, struct kvm *kvm, struct err *err)
{
	pthread_condattr_t attr;
	int ret;

	*guest = (struct probe_guest){.kvm = kvm, .mem.fd = -1};
	pthread_mutex_init(&guest->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&guest->changed, &attr);
	pthread_condattr_destroy(&attr);
	guest->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (guest->bell < 0)
		return err_set(err, EXIT_CODE_INTERNAL, errno, "can't make an eventfd: %s",
			strerror(errno));
	ret = make_memory(guest, err);
	return ret < 0 ? ret : connect_guest(guest, err);
}

static void finish_guest(struct probe_guest *guest)
{
	kvm_ioeventfd(guest->kvm, true, PROBE_PORT_BELL, 4, 7, guest->bell, false);
	kvm_ioeventfd(guest->kvm, false, PROBE_MMIO_BELL, 4, 7, guest->bell, false);
	kvm_set_memory(guest->kvm, 0, 0, 0, NULL, 0, NULL);
	gmem_finish(&guest->mem);
	if (guest->bell >= 0)
		close(guest->bell);
	pthread_cond_destroy(&guest->changed);
	pthread_mutex_destroy(&guest->lock);
}

int probe_run_all(struct kvm *kvm, struct probe_result results[PROBE_COUNT], struct err *err)
{
	struct probe_guest guest;
	int ret;

	memset(results, 0, PROBE_COUNT * sizeof(results[0]));
	ret = init_guest(&guest, kvm, err);
	for (int i = 0; i < PROBE_COUNT && ret == 0; i++)
		ret = run_probe(&guest, (enum probe_id)i, &results[i], err);
	finish_guest(&guest);
	return ret;
}

/* ---- Names ---- */

const char *probe_name(enum probe_id id)
{
#define PROBE_NAME(name, text, meaning) [name] = text,
	static const char *const names[] = {PROBE_TABLE(PROBE_NAME)};
#undef PROBE_NAME

	return names[id];
}

const char *probe_meaning(enum probe_id id)
{
#define PROBE_MEANING(name, text, meaning) [name] = meaning,
	static const char *const meanings[] = {PROBE_TABLE(PROBE_MEANING)};
#undef PROBE_MEANING

	return meanings[id];
}
