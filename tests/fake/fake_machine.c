/*
 * See fake_machine.h. Knows nothing of any device.
 *
 * The mutex guards wires, doorbells and requests; it is never held while a
 * device is called.
 */
#include "tests/fake/fake_machine.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vmm/base/util.h"

/* ---- Wires ---- */

/* Called with the mutex held. */
static bool pin_level(const struct fake_machine *fm, unsigned gsi)
{
	for (unsigned i = 0; i < fm->wire_count; i++)
		if (fm->wires[i].gsi == gsi && fm->wires[i].asserted)
			return true;
	return false;
}

static void wire_set(struct irq_line *line, bool level)
{
	struct fake_wire *wire = line->opaque;
	struct fake_machine *fm = wire->fm;
	bool before;

	pthread_mutex_lock(&fm->mutex);
	before = pin_level(fm, wire->gsi);
	wire->asserted = level;
	if (!before && level)
		fm->irq_counts[wire->gsi]++;
	pthread_mutex_unlock(&fm->mutex);
}

static void wire_pulse(struct irq_line *line)
{
	struct fake_wire *wire = line->opaque;
	struct fake_machine *fm = wire->fm;

	pthread_mutex_lock(&fm->mutex);
	fm->irq_counts[wire->gsi]++;
	pthread_mutex_unlock(&fm->mutex);
}

static int wire_pulse_fd(const struct irq_line *line)
{
	return ((const struct fake_wire *)line->opaque)->pulse_fd;
}

static int connect_irq(
	void *opaque, unsigned gsi, bool level, struct irq_line *line, struct err *err)
{
	struct fake_machine *fm = opaque;
	struct fake_wire *wire;

	if (gsi >= FAKE_GSIS)
		return err_set(err, EXIT_CODE_DEVICE, EINVAL, "interrupt %u does not exist", gsi);
	pthread_mutex_lock(&fm->mutex);
	ASSERT(fm->wire_count < FAKE_WIRES_MAX);
	wire = &fm->wires[fm->wire_count++];
	*wire = (struct fake_wire){.fm = fm,
		.gsi = gsi,
		.is_level = level,
		.pulse_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	ASSERT(wire->pulse_fd >= 0);
	pthread_mutex_unlock(&fm->mutex);
	*line = (struct irq_line){.set = wire_set,
		.pulse = wire_pulse,
		.pulse_fd = level ? NULL : wire_pulse_fd,
		.opaque = wire,
		.gsi = gsi};
	return 0;
}

uint64_t fake_machine_irq_count(struct fake_machine *fm, unsigned gsi)
{
	uint64_t count;

	ASSERT(gsi < FAKE_GSIS);
	pthread_mutex_lock(&fm->mutex);
	count = fm->irq_counts[gsi];
	pthread_mutex_unlock(&fm->mutex);
	return count;
}

bool fake_machine_irq_level(struct fake_machine *fm, unsigned gsi)
{
	bool level;

	pthread_mutex_lock(&fm->mutex);
	level = pin_level(fm, gsi);
	pthread_mutex_unlock(&fm->mutex);
	return level;
}

/* ---- Doorbells ---- */

static bool is_same_bell(const struct fake_doorbell *a, const struct fake_doorbell *b)
{
	return a->used && a->pio == b->pio && a->addr == b->addr && a->size == b->size &&
		a->value == b->value;
}

static struct fake_doorbell *find_bell(struct fake_machine *fm, const struct fake_doorbell *wanted)
{
	for (unsigned i = 0; i < FAKE_DOORBELLS_MAX; i++)
		if (is_same_bell(&fm->doorbells[i], wanted))
			return &fm->doorbells[i];
	return NULL;
}

static int assign_bell(struct fake_machine *fm, const struct fake_doorbell *bell)
{
	if (find_bell(fm, bell))
		return -EEXIST;
	for (unsigned i = 0; i < FAKE_DOORBELLS_MAX; i++) {
		if (fm->doorbells[i].used)
			continue;
		fm->doorbells[i] = *bell;
		return 0;
	}
	return -ENOSPC;
}

static int set_ioeventfd(
	void *opaque, bool pio, uint64_t addr, unsigned size, uint64_t value, int fd, bool assign)
{
	struct fake_machine *fm = opaque;
	struct fake_doorbell bell = {
		.used = true, .pio = pio, .addr = addr, .value = value, .size = size, .fd = fd};
	struct fake_doorbell *found;
	int ret = 0;

	if (!fm->plays_doorbells)
		return -EOPNOTSUPP;
	pthread_mutex_lock(&fm->mutex);
	if (assign) {
		ret = assign_bell(fm, &bell);
	} else {
		found = find_bell(fm, &bell);
		if (found && found->fd == fd)
			found->used = false;
		else
			ret = -ENOENT;
	}
	pthread_mutex_unlock(&fm->mutex);
	return ret;
}

/* Signals under the mutex: a device that takes its doorbell back may close the fd then. */
static bool ring_bell(
	struct fake_machine *fm, bool pio, uint64_t addr, unsigned size, uint64_t value)
{
	struct fake_doorbell bell = {.pio = pio, .addr = addr, .value = value, .size = size};
	struct fake_doorbell *found;
	int ret = 0;

	pthread_mutex_lock(&fm->mutex);
	found = find_bell(fm, &bell);
	if (found)
		ret = eventfd_write(found->fd, 1);
	pthread_mutex_unlock(&fm->mutex);
	ASSERT(ret == 0);
	return found;
}

unsigned fake_machine_doorbell_count(struct fake_machine *fm)
{
	unsigned count = 0;

	pthread_mutex_lock(&fm->mutex);
	for (unsigned i = 0; i < FAKE_DOORBELLS_MAX; i++)
		count += fm->doorbells[i].used;
	pthread_mutex_unlock(&fm->mutex);
	return count;
}

/* ---- Memory of devices ---- */

enum {
	PAGE_BYTES = 4096,
	BITS = 64,
};

static size_t dirty_words(const struct fake_memory *memory)
{
	return (memory->size / PAGE_BYTES + BITS - 1) / BITS;
}

static int map_memory(void *opaque, uint64_t addr, void *host, uint64_t size, struct err *err)
{
	struct fake_machine *fm = opaque;
	int number = 0;

	ASSERT(!(addr % PAGE_BYTES) && size && !(size % PAGE_BYTES));
	pthread_mutex_lock(&fm->mutex);
	while (number < FAKE_MEMORIES_MAX && fm->memories[number].host)
		number++;
	if (number < FAKE_MEMORIES_MAX) {
		struct fake_memory *memory = &fm->memories[number];

		*memory = (struct fake_memory){.host = host, .addr = addr, .size = size};
		memory->dirty = calloc(dirty_words(memory), sizeof(*memory->dirty));
		ASSERT(memory->dirty);
	}
	pthread_mutex_unlock(&fm->mutex);
	return number < FAKE_MEMORIES_MAX
		? number
		: err_set(err, EXIT_CODE_DEVICE, ENOSPC, "no room for more device memory");
}

static void unmap_memory(void *opaque, int number)
{
	struct fake_machine *fm = opaque;

	pthread_mutex_lock(&fm->mutex);
	ASSERT(fm->memories[number].host);
	free(fm->memories[number].dirty);
	fm->memories[number] = (struct fake_memory){.host = NULL};
	pthread_mutex_unlock(&fm->mutex);
}

static int take_dirty(void *opaque, int number, uint64_t *bitmap)
{
	struct fake_machine *fm = opaque;
	struct fake_memory *memory = &fm->memories[number];
	size_t bytes;
	bool is_gone;

	pthread_mutex_lock(&fm->mutex);
	is_gone = fm->memory_is_gone;
	if (!is_gone) {
		bytes = dirty_words(memory) * sizeof(*memory->dirty);
		memcpy(bitmap, memory->dirty, bytes);
		memset(memory->dirty, 0, bytes);
	}
	pthread_mutex_unlock(&fm->mutex);
	return is_gone ? -ENOTTY : 0;
}

static struct fake_memory *find_memory(struct fake_machine *fm, uint64_t addr, uint64_t len)
{
	for (unsigned i = 0; i < FAKE_MEMORIES_MAX; i++) {
		struct fake_memory *memory = &fm->memories[i];

		if (memory->host && addr >= memory->addr &&
			util_range_inside(addr - memory->addr, len, memory->size))
			return memory;
	}
	return NULL;
}

void fake_machine_poke(struct fake_machine *fm, uint64_t addr, const void *data, uint64_t len)
{
	struct fake_memory *memory;

	pthread_mutex_lock(&fm->mutex);
	memory = find_memory(fm, addr, len);
	ASSERT(memory && len);
	memcpy(memory->host + (addr - memory->addr), data, len);
	for (uint64_t page = (addr - memory->addr) / PAGE_BYTES;
		page <= (addr - memory->addr + len - 1) / PAGE_BYTES; page++)
		memory->dirty[page / BITS] |= UINT64_C(1) << page % BITS;
	pthread_mutex_unlock(&fm->mutex);
}

unsigned fake_machine_memory_count(struct fake_machine *fm)
{
	unsigned count = 0;

	pthread_mutex_lock(&fm->mutex);
	for (unsigned i = 0; i < FAKE_MEMORIES_MAX; i++)
		count += fm->memories[i].host != NULL;
	pthread_mutex_unlock(&fm->mutex);
	return count;
}

/* ---- Requests ---- */

static void note_request(void *opaque, enum machine_request request, int value)
{
	struct fake_machine *fm = opaque;

	pthread_mutex_lock(&fm->mutex);
	if (!fm->request_count++) {
		fm->first_request = request;
		fm->first_value = value;
	}
	fm->last_request = request;
	fm->last_value = value;
	pthread_mutex_unlock(&fm->mutex);
}

unsigned fake_machine_request_count(struct fake_machine *fm)
{
	unsigned count;

	pthread_mutex_lock(&fm->mutex);
	count = fm->request_count;
	pthread_mutex_unlock(&fm->mutex);
	return count;
}

/* ---- Accesses ---- */

static uint64_t read_bus(struct bus *bus, uint64_t addr, unsigned size)
{
	uint64_t value = 0;

	ASSERT(size >= 1 && size <= 8);
	bus_read(bus, addr, &value, size);
	return value;
}

static void write_bus(
	struct fake_machine *fm, struct bus *bus, uint64_t addr, unsigned size, uint64_t value)
{
	ASSERT(size >= 1 && size <= 8);
	if (!ring_bell(fm, bus == &fm->pio, addr, size, util_low_bytes(value, size)))
		bus_write(bus, addr, &value, size);
}

uint64_t fake_machine_in(struct fake_machine *fm, uint16_t port, unsigned size)
{
	return read_bus(&fm->pio, port, size);
}

void fake_machine_out(struct fake_machine *fm, uint16_t port, unsigned size, uint64_t value)
{
	write_bus(fm, &fm->pio, port, size, value);
}

uint64_t fake_machine_mmio_read(struct fake_machine *fm, uint64_t addr, unsigned size)
{
	return read_bus(&fm->mmio, addr, size);
}

void fake_machine_mmio_write(struct fake_machine *fm, uint64_t addr, unsigned size, uint64_t value)
{
	write_bus(fm, &fm->mmio, addr, size, value);
}

/* ---- The loop ---- */

void fake_machine_run_loop(struct fake_machine *fm)
{
	for (int i = 0; i < FAKE_LOOP_TURNS; i++)
		loop_run_once(fm->loop, 0);
}

bool fake_machine_run_until(struct fake_machine *fm, bool (*done)(void *opaque), void *opaque)
{
	uint64_t end_ns = util_now_ns() + FAKE_WAIT_MS * UINT64_C(1000000);

	while (!done(opaque)) {
		if (util_now_ns() > end_ns)
			return false;
		/* Short, because `done` may wait for what does not wake the loop. */
		loop_run_once(fm->loop, 10);
	}
	return true;
}

struct irq_wait {
	struct fake_machine *fm;
	unsigned gsi;
	uint64_t count;
};

static bool has_irqs(void *opaque)
{
	const struct irq_wait *wait = opaque;

	return fake_machine_irq_count(wait->fm, wait->gsi) >= wait->count;
}

bool fake_machine_wait_irq(struct fake_machine *fm, unsigned gsi, uint64_t count)
{
	struct irq_wait wait = {fm, gsi, count};

	return fake_machine_run_until(fm, has_irqs, &wait);
}

static void note_coalescing(void *opaque, uint16_t port, uint16_t status, bool on)
{
	struct fake_machine *fm = opaque;

	fm->coalesced_port = on ? port : 0;
	fm->coalesced_status = on ? status : 0;
	fm->coalesce_calls++;
}

/* ---- Life ---- */

static const struct platform_ops platform_ops = {
	.irq_connect = connect_irq,
	.ioeventfd = set_ioeventfd,
	.memory_map = map_memory,
	.memory_unmap = unmap_memory,
	.memory_take_dirty = take_dirty,
	.pio_coalesce = note_coalescing,
	.request = note_request,
};

struct fake_machine *fake_machine_create_split(
	uint64_t ram_bytes, gpa_t hole_start, gpa_t high_base)
{
	struct gmem_config config = {
		.size = ram_bytes, .hole_start = hole_start, .high_base = high_base};
	struct fake_machine *fm = calloc(1, sizeof(*fm));
	int ret;

	ASSERT(fm);
	ret = gmem_init(&fm->mem, &config, NULL);
	ASSERT(ret == 0);
	ret = loop_create(&fm->loop, NULL);
	ASSERT(ret == 0);
	pthread_mutex_init(&fm->mutex, NULL);
	bus_init(&fm->pio, "port");
	bus_init(&fm->mmio, "MMIO");
	fm->platform = (struct platform){
		.mem = &fm->mem,
		.pio = &fm->pio,
		.mmio = &fm->mmio,
		.loop = fm->loop,
		.ops = &platform_ops,
		.opaque = fm,
		.mmio_next = FAKE_MMIO_BASE,
		.mmio_end = FAKE_MMIO_END,
		.irq_first = FAKE_IRQ_FIRST,
		.irq_next = FAKE_IRQ_FIRST,
		.irq_end = FAKE_GSIS,
	};
	return fm;
}

struct fake_machine *fake_machine_create(uint64_t ram_bytes)
{
	return fake_machine_create_split(ram_bytes, ram_bytes, ram_bytes);
}

void fake_machine_destroy(struct fake_machine *fm)
{
	if (!fm)
		return;
	for (unsigned i = 0; i < fm->wire_count; i++)
		close(fm->wires[i].pulse_fd);
	loop_destroy(fm->loop);
	gmem_finish(&fm->mem);
	pthread_mutex_destroy(&fm->mutex);
	free(fm);
}
