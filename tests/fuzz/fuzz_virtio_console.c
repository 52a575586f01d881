/*
 * virtio-console with hvc0 and two ports: control messages, buffers, bytes from the host, host
 * sides that stop, come and go, and resets, in any order. Whatever happened before, after a reset
 * the device serves a polite driver.
 */
#include <linux/virtio_console.h>

#include "devices/backend/chr_impl.h"
#include "devices/backend/chr_memory.h"
#include "tests/fuzz/fuzz_virtio.h"

enum {
	OPERATIONS_MAX = 1000,
	PORTS = 3,
	LAST = PORTS - 1, /* the one whose host side comes and goes */
	QUEUE_SIZE = 16,
	CONTROL_IN = 2,
	CONTROL_OUT = 3,
	MESSAGE = 0x8800,
	DATA = 0x9000,
	DATA_BYTES = 0x1000,
	CONTROL = 0xa000, /* buffers of CONTROL_BYTES */
	CONTROL_BYTES = 96,
};

extern const struct device_class virtio_console_class;

static struct fuzz_virtio fuzz;
static struct chr *chrs[PORTS];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void init_once(void)
{
	struct device_port ports[PORTS] = {{.name = NULL}, {.name = "one"}, {.name = "two"}};
	struct device_args args = {.name = "console", .ports = ports, .port_count = PORTS};
	struct fake_machine *fm;

	if (fuzz.fm)
		return;
	fm = fake_machine_create_split(2 * FUZZ_PIECE_BYTES, FUZZ_PIECE_BYTES, FUZZ_HIGH_BASE);
	for (unsigned i = 0; i < PORTS; i++) {
		int ret = chr_memory_open(&chrs[i], fm->loop, NULL);

		ASSERT(ret == 0);
		ports[i].chr = chrs[i];
	}
	fuzz_virtio_create(&fuzz, &virtio_console_class, &args, fm);
}

static unsigned input_queue(unsigned port)
{
	return port ? 2 * port + 2 : 0;
}

/* ---- What an input can ask for ---- */

static void add_message(const struct virtio_console_control *message, uint16_t head)
{
	(void)gmem_write(&fuzz.fm->mem, MESSAGE + head % QUEUE_SIZE * sizeof(*message), message,
		sizeof(*message));
	fuzz_virtio_add_buffer(&fuzz, CONTROL_OUT, MESSAGE + head % QUEUE_SIZE * sizeof(*message),
		sizeof(*message), false, head);
}

static void say(struct fuzz_input *input)
{
	struct virtio_console_control message = {.id = (uint32_t)fuzz_take(input, 1) % (PORTS + 1),
		.event = (uint16_t)(fuzz_take(input, 1) % 9),
		.value = (uint16_t)(fuzz_take(input, 1) & 1)};

	add_message(&message, (uint16_t)fuzz_take(input, 1));
	fake_driver_kick(&fuzz.driver, CONTROL_OUT);
}

static void add_buffer(struct fuzz_input *input)
{
	unsigned queue = (unsigned)fuzz_take(input, 1) % fuzz.queues;
	gpa_t gpa = FUZZ_RINGS_END + fuzz_take(input, 3) % (4 * FUZZ_PIECE_BYTES);
	uint32_t len = (uint32_t)fuzz_take(input, 2);
	uint8_t head = (uint8_t)fuzz_take(input, 1);
	bool is_wrong = head & 0x80;

	fuzz_virtio_add_buffer(&fuzz, queue, gpa, len, (queue & 1) == is_wrong, head);
	fake_driver_kick(&fuzz.driver, queue);
}

static void feed(struct fuzz_input *input)
{
	uint8_t bytes[256];
	struct chr *chr = chrs[fuzz_take(input, 1) % PORTS];
	size_t len = fuzz_take(input, 1);

	fuzz_take_bytes(input, bytes, len);
	chr_memory_feed(chr, bytes, len);
}

static void set_attached(bool attached)
{
	pthread_mutex_lock(&chrs[LAST]->lock);
	chrs[LAST]->attached = attached;
	pthread_mutex_unlock(&chrs[LAST]->lock);
	chr_tell_host_changed(chrs[LAST]);
}

static void change_host(struct fuzz_input *input)
{
	unsigned what = (unsigned)fuzz_take(input, 1);

	if (what & 0x80)
		set_attached(what & 1);
	else
		chr_memory_stall(chrs[what / 2 % PORTS], what & 1);
}

static void run_one(struct fuzz_input *input)
{
	unsigned op = (unsigned)fuzz_take(input, 1) % (FUZZ_VIRTIO_OPS + 5);

	switch (op) {
	case FUZZ_VIRTIO_OPS:
		say(input);
		break;
	case FUZZ_VIRTIO_OPS + 1:
		add_buffer(input);
		break;
	case FUZZ_VIRTIO_OPS + 2:
		feed(input);
		break;
	case FUZZ_VIRTIO_OPS + 3:
		change_host(input);
		break;
	case FUZZ_VIRTIO_OPS + 4:
		device_reset(fuzz.device);
		break;
	default:
		fuzz_virtio_run(&fuzz, op, input);
	}
}

/* ---- A polite driver ---- */

static void run(unsigned queue)
{
	fake_driver_kick(&fuzz.driver, queue);
	fake_machine_run_loop(fuzz.fm);
}

static void tell(uint32_t id, uint16_t event)
{
	const struct virtio_console_control message = {id, event, 1};
	unsigned head;
	uint32_t len;
	bool got;

	add_message(&message, 0);
	run(CONTROL_OUT);
	got = fake_vq_take(&fuzz.driver, CONTROL_OUT, &head, &len);
	ASSERT(got);
}

static void expect_output(unsigned port)
{
	const struct fake_buffer buffer = {DATA, 3, false};
	unsigned head;
	uint32_t len;
	bool got;

	chr_memory_clear_output(chrs[port]);
	(void)gmem_write(&fuzz.fm->mem, DATA, "ok\n", 3);
	fake_vq_add(&fuzz.driver, input_queue(port) + 1, &buffer, 1, 0);
	run(input_queue(port) + 1);
	got = fake_vq_take(&fuzz.driver, input_queue(port) + 1, &head, &len);
	ASSERT(got && !strcmp(chr_memory_output(chrs[port], NULL), "ok\n"));
}

/* One buffer for input; false when there is none for it. */
static bool take_input(unsigned port, uint32_t *len)
{
	unsigned head;

	fake_machine_run_loop(fuzz.fm);
	return fake_vq_take(&fuzz.driver, input_queue(port), &head, len);
}

static void add_room(unsigned port)
{
	fake_vq_add(&fuzz.driver, input_queue(port), &(struct fake_buffer){DATA, DATA_BYTES, true},
		1, 0);
	fake_driver_kick(&fuzz.driver, input_queue(port));
}

/*
 * All that was fed before comes first, and then what is fed now, which is in two pieces where the
 * back end's ring begins anew.
 */
static void expect_input(unsigned port)
{
	char got[3] = "";
	uint32_t len;

	add_room(port);
	while (take_input(port, &len))
		add_room(port);
	chr_memory_feed(chrs[port], "in", 2);
	for (size_t have = 0; have < 2; have += len) {
		bool is_there = take_input(port, &len);

		ASSERT(is_there && len && len <= 2 - have);
		memcpy(got + have, fake_driver_host(&fuzz.driver, DATA, len), len);
		add_room(port);
	}
	ASSERT(!strcmp(got, "in"));
}

static void expect_service(void)
{
	unsigned messages = 0, head;
	uint32_t len;

	set_attached(true);
	for (unsigned i = 0; i < PORTS; i++)
		chr_memory_stall(chrs[i], false);
	fake_machine_run_loop(fuzz.fm);
	fuzz_virtio_bring_up(&fuzz, ~UINT64_C(0), QUEUE_SIZE);
	for (unsigned i = 0; i < QUEUE_SIZE; i++)
		fake_vq_add(&fuzz.driver, CONTROL_IN,
			&(struct fake_buffer){CONTROL + i * CONTROL_BYTES, CONTROL_BYTES, true}, 1,
			0);
	run(CONTROL_IN);
	tell(VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY);
	for (unsigned i = 0; i < PORTS; i++) {
		tell(i, VIRTIO_CONSOLE_PORT_READY);
		tell(i, VIRTIO_CONSOLE_PORT_OPEN);
	}
	while (fake_vq_take(&fuzz.driver, CONTROL_IN, &head, &len))
		messages++;
	/* PORT_ADD, the name or CONSOLE_PORT, and PORT_OPEN, for each. */
	ASSERT(messages == 3 * PORTS);
	for (unsigned i = 0; i < PORTS; i++) {
		expect_output(i);
		expect_input(i);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};

	init_once();
	fuzz_virtio_begin(&fuzz);
	for (unsigned i = 0; i < OPERATIONS_MAX && !fuzz_is_empty(&input); i++)
		run_one(&input);
	fuzz_virtio_clear_memory(&fuzz);
	device_reset(fuzz.device);
	expect_service();
	/* As if made anew for the next input. */
	device_reset(fuzz.device);
	fake_machine_run_loop(fuzz.fm);
	return 0;
}
