/*
 * A machine without KVM: a struct platform with guest memory, two buses, a loop
 * and wires that count. Tests and fuzzers realize a device in it, touch the
 * device's registers as a vCPU would, and look at what it did.
 *
 *	struct fake_machine *fm = fake_machine_create(16 * MIB);
 *	device_create(&dev, &some_class, &args, NULL);
 *	device_realize(dev, &fm->platform, NULL);
 *	fake_machine_out(fm, 0x3f8, 1, 'A');
 *	fake_machine_run_loop(fm);
 *	assert_int_equal(fake_machine_irq_count(fm, 4), 1);
 *	device_destroy(dev);
 *	fake_machine_destroy(fm);
 *
 * What goes wrong in here is a bug of the test and aborts it (ASSERT).
 *
 * Threads: accesses, interrupts and requests from any thread; the loop runs on
 * the thread that calls one of the run functions.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/core/bus.h"
#include "vmm/core/device.h"
#include "vmm/core/gmem.h"
#include "vmm/core/loop.h"

enum {
	FAKE_GSIS = 24,
	FAKE_WIRES_MAX = 64,
	FAKE_DOORBELLS_MAX = 64,
	FAKE_IRQ_FIRST = 16, /* DEVICE_IRQ_ANY gives these in turn, as the real machine does */
	FAKE_LOOP_TURNS = 8,
	FAKE_MEMORIES_MAX = 4,
	FAKE_WAIT_MS = 20000,
};

/* Where devices without a fixed place are put. */
#define FAKE_MMIO_BASE UINT64_C(0xd0000000)
#define FAKE_MMIO_END  UINT64_C(0xd0100000)

struct fake_wire {
	struct fake_machine *fm;
	unsigned gsi;
	bool is_level;
	bool asserted;
	int pulse_fd; /* edge: what others than the device write to, for nobody */
};

struct fake_doorbell {
	bool used, pio;
	uint64_t addr, value;
	unsigned size;
	int fd; /* the device's */
};

/* Memory of a device's own; a bit for each page that was written to. */
struct fake_memory {
	uint8_t *host; /* the device's; NULL: none */
	uint64_t addr, size;
	uint64_t *dirty;
};

struct fake_machine {
	struct platform platform;
	struct gmem mem;
	struct bus pio, mmio;
	struct loop *loop;

	/*
	 * Doorbells: false (the default) refuses them, as a host without ioeventfd does;
	 * true plays them: a matching write signals the eventfd and reaches no device.
	 */
	bool plays_doorbells;

	/* What a device asked last about a port, 0: nothing or the end; under the device's lock. */
	uint16_t coalesced_port, coalesced_status;
	unsigned coalesce_calls;

	pthread_mutex_t mutex; /* guards what follows */
	struct fake_wire wires[FAKE_WIRES_MAX];
	unsigned wire_count;
	struct fake_doorbell doorbells[FAKE_DOORBELLS_MAX];
	uint64_t irq_counts[FAKE_GSIS];
	struct fake_memory memories[FAKE_MEMORIES_MAX];
	bool memory_is_gone; /* as while the machine is being reset */
	unsigned request_count;
	enum machine_request first_request, last_request;
	int first_value, last_value;
};

/* RAM in one piece at 0. `ram_bytes` is a multiple of 4 KiB. */
struct fake_machine *fake_machine_create(uint64_t ram_bytes);

/* RAM below `hole_start`, the rest from `high_base` on (which may equal hole_start). */
struct fake_machine *fake_machine_create_split(
	uint64_t ram_bytes, gpa_t hole_start, gpa_t high_base);

/* After the devices in it are destroyed. NULL is legal. */
void fake_machine_destroy(struct fake_machine *fm);

/* One access as a vCPU makes it, 1 to 8 bytes. Unclaimed bytes read as ones. */
uint64_t fake_machine_in(struct fake_machine *fm, uint16_t port, unsigned size);
void fake_machine_out(struct fake_machine *fm, uint16_t port, unsigned size, uint64_t value);
uint64_t fake_machine_mmio_read(struct fake_machine *fm, uint64_t addr, unsigned size);
void fake_machine_mmio_write(struct fake_machine *fm, uint64_t addr, unsigned size, uint64_t value);

/* Writes to memory of a device's own, as the guest does without an exit. All of it must lie there. */
void fake_machine_poke(struct fake_machine *fm, uint64_t addr, const void *data, uint64_t len);

/* How many devices have such memory now. */
unsigned fake_machine_memory_count(struct fake_machine *fm);

/* Interrupts since the start: pulses, and rises of the level of all wires on the pin. */
uint64_t fake_machine_irq_count(struct fake_machine *fm, unsigned gsi);
/* The level that the wires on the pin make together. */
bool fake_machine_irq_level(struct fake_machine *fm, unsigned gsi);

/* How often a device asked for anything; the first and last are in the struct. */
unsigned fake_machine_request_count(struct fake_machine *fm);

/* Number of doorbells that devices hold now. */
unsigned fake_machine_doorbell_count(struct fake_machine *fm);

/*
 * Runs what is ready on the loop and what that makes ready, without waiting. Ends
 * after FAKE_LOOP_TURNS turns. What other threads still do is not waited for.
 */
void fake_machine_run_loop(struct fake_machine *fm);

/*
 * Runs the loop until done(opaque), for devices with threads behind them. False when
 * that did not come true within FAKE_WAIT_MS.
 */
bool fake_machine_run_until(struct fake_machine *fm, bool (*done)(void *opaque), void *opaque);

/* The same until `gsi` has had at least `count` interrupts since the start. */
bool fake_machine_wait_irq(struct fake_machine *fm, unsigned gsi, uint64_t count);
