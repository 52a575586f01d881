/*
 * virtio-console, through its registers and rings: hvc0 and a port "log" over consoles in memory,
 * and a port "agent" over a Unix socket.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/backend/chr_impl.h"
#include "devices/backend/chr_memory.h"
#include "devices/virtio/virtio.h"
#include "tests/fake/fake_virtio_driver.h"
#include "vmm/base/util.h"

extern const struct device_class virtio_console_class;

#define ALL_FEATURES (~UINT64_C(0))
#define BIT(n)	     (UINT64_C(1) << (n))
#define RAM_BYTES    (16 * MIB)

enum {
	HVC0,
	LOG,
	AGENT,
	PORTS,
	QUEUES = 2 * (PORTS + 1),
	QUEUE_SIZE = 16,
	CONTROL_IN = 2,
	CONTROL_OUT = 3,
	MESSAGE_BYTES = 96,
	PIECE_BYTES = 4096,
};

struct fixture {
	struct fake_machine *fm;
	struct chr *chrs[PORTS];
	struct device *device;
	struct fake_driver driver;
	gpa_t control; /* QUEUE_SIZE buffers of MESSAGE_BYTES */
	gpa_t message, data, input;
	uint16_t
		buffer_of[QUEUE_SIZE]; /* head of the control input queue -> number of its buffer */
	char dir[32], path[64];
	int master, slave; /* the terminal of hvc0, when it has one */
};

static unsigned input_queue(unsigned port)
{
	return port ? 2 * port + 2 : 0;
}

static unsigned output_queue(unsigned port)
{
	return input_queue(port) + 1;
}

/* ---- Set-up ---- */

static struct fixture *make_machine(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	signal(SIGPIPE, SIG_IGN);
	f->master = f->slave = -1;
	f->fm = fake_machine_create(RAM_BYTES);
	f->fm->plays_doorbells = true;
	strcpy(f->dir, "/tmp/vmm-console-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/agent", f->dir);
	return f;
}

static void make_device(struct fixture *f, const struct device_port *ports, unsigned count)
{
	const struct device_args args = {
		.name = "virtio-console0", .ports = ports, .port_count = count};

	assert_int_equal(device_create(&f->device, &virtio_console_class, &args, NULL), 0);
	assert_int_equal(device_realize(f->device, &f->fm->platform, NULL), 0);
	fake_driver_init(&f->driver, f->fm, f->device, 4096, RAM_BYTES - 4096);
	f->control = fake_driver_alloc(&f->driver, QUEUE_SIZE * MESSAGE_BYTES, 16);
	f->message = fake_driver_alloc(&f->driver, MESSAGE_BYTES, 16);
	f->data = fake_driver_alloc(&f->driver, 8 * MIB, 4096);
	f->input = fake_driver_alloc(&f->driver, QUEUE_SIZE * PIECE_BYTES, 4096);
}

static int open_all(struct fixture *f)
{
	char spec[80];
	struct device_port ports[PORTS] = {[LOG].name = "log", [AGENT].name = "agent"};

	snprintf(spec, sizeof(spec), "unix:%s", f->path);
	if (!f->chrs[HVC0])
		assert_int_equal(chr_memory_open(&f->chrs[HVC0], f->fm->loop, NULL), 0);
	assert_int_equal(chr_memory_open(&f->chrs[LOG], f->fm->loop, NULL), 0);
	assert_int_equal(chr_open(&f->chrs[AGENT], spec, f->fm->loop, NULL), 0);
	for (unsigned i = 0; i < PORTS; i++)
		ports[i].chr = f->chrs[i];
	make_device(f, ports, PORTS);
	return 0;
}

static int setup(void **state)
{
	struct fixture *f = make_machine();

	*state = f;
	return open_all(f);
}

static void set_size(struct fixture *f, unsigned columns, unsigned rows)
{
	struct winsize size = {.ws_col = (uint16_t)columns, .ws_row = (uint16_t)rows};

	assert_int_equal(ioctl(f->master, TIOCSWINSZ, &size), 0);
}

static int setup_terminal(void **state)
{
	struct fixture *f = make_machine();

	assert_int_equal(openpty(&f->master, &f->slave, NULL, NULL, NULL), 0);
	set_size(f, 132, 43);
	assert_int_equal(
		chr_stdio_open_fds(&f->chrs[HVC0], f->slave, f->slave, f->fm->loop, NULL), 0);
	*state = f;
	return open_all(f);
}

/* Ports with names alone: the place of hvc0 stays empty. */
static int setup_without_hvc0(void **state)
{
	struct fixture *f = make_machine();
	struct device_port port = {.name = "log"};

	assert_int_equal(chr_memory_open(&f->chrs[LOG], f->fm->loop, NULL), 0);
	port.chr = f->chrs[LOG];
	make_device(f, &port, 1);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	device_destroy(f->device);
	for (unsigned i = 0; i < PORTS; i++)
		chr_close(f->chrs[i]);
	fake_machine_destroy(f->fm);
	if (f->master >= 0) {
		close(f->master);
		close(f->slave);
	}
	rmdir(f->dir);
	free(f);
	return 0;
}

/* ---- The driver's side ---- */

static struct virtio_dev *vdev_of(struct fixture *f)
{
	return virtio_of(f->device);
}

static uint64_t guest_errors(struct fixture *f)
{
	return f->device->guest_errors.total;
}

static void *host(struct fixture *f, gpa_t gpa, uint64_t len)
{
	return fake_driver_host(&f->driver, gpa, len);
}

static void run(struct fixture *f)
{
	fake_machine_run_loop(f->fm);
}

static void kick(struct fixture *f, unsigned queue)
{
	fake_driver_kick(&f->driver, queue);
	run(f);
}

static void add_control_buffer(struct fixture *f, unsigned number)
{
	const struct fake_buffer buffer = {
		f->control + (gpa_t)number * MESSAGE_BYTES, MESSAGE_BYTES, true};
	unsigned head = fake_vq_add(&f->driver, CONTROL_IN, &buffer, 1, 0);

	f->buffer_of[head] = (uint16_t)number;
}

static void say(struct fixture *f, uint32_t id, uint16_t event, uint16_t value)
{
	const struct virtio_console_control message = {id, event, value};
	const struct fake_buffer buffer = {f->message, sizeof(message), false};
	unsigned head;
	uint32_t len;

	memcpy(host(f, f->message, sizeof(message)), &message, sizeof(message));
	fake_vq_add(&f->driver, CONTROL_OUT, &buffer, 1, 0);
	kick(f, CONTROL_OUT);
	assert_true(fake_vq_take(&f->driver, CONTROL_OUT, &head, &len));
}

/* The next message: its text behind the head goes to `rest`, zero-terminated; length of that. */
static unsigned next_message(
	struct fixture *f, struct virtio_console_control *message, char rest[MESSAGE_BYTES])
{
	unsigned head, number;
	uint32_t len;
	const uint8_t *bytes;

	assert_true(fake_vq_take(&f->driver, CONTROL_IN, &head, &len));
	assert_in_range(len, sizeof(*message), MESSAGE_BYTES - 1);
	number = f->buffer_of[head];
	bytes = host(f, f->control + (gpa_t)number * MESSAGE_BYTES, MESSAGE_BYTES);
	memcpy(message, bytes, sizeof(*message));
	memcpy(rest, bytes + sizeof(*message), len - sizeof(*message));
	rest[len - sizeof(*message)] = '\0';
	add_control_buffer(f, number);
	return len - (unsigned)sizeof(*message);
}

static void expect_text(
	struct fixture *f, uint32_t id, uint16_t event, uint16_t value, const char *text)
{
	struct virtio_console_control message;
	char rest[MESSAGE_BYTES];
	unsigned len = next_message(f, &message, rest);

	assert_int_equal(message.id, id);
	assert_int_equal(message.event, event);
	assert_int_equal(message.value, value);
	assert_int_equal(len, strlen(text));
	assert_string_equal(rest, text);
}

static void expect(struct fixture *f, uint32_t id, uint16_t event, uint16_t value)
{
	expect_text(f, id, event, value, "");
}

static void expect_size(struct fixture *f, unsigned columns, unsigned rows)
{
	struct virtio_console_control message;
	char rest[MESSAGE_BYTES];
	uint16_t size[2];

	assert_int_equal(next_message(f, &message, rest), sizeof(size));
	assert_int_equal(message.id, HVC0);
	assert_int_equal(message.event, VIRTIO_CONSOLE_RESIZE);
	memcpy(size, rest, sizeof(size));
	assert_int_equal(size[0], columns);
	assert_int_equal(size[1], rows);
}

static void expect_silence(struct fixture *f)
{
	run(f);
	assert_int_equal(fake_vq_used_count(&f->driver.queues[CONTROL_IN]), 0);
}

static void bring_up(struct fixture *f, uint64_t features)
{
	fake_driver_bring_up(&f->driver, features, vdev_of(f)->queue_count, QUEUE_SIZE);
	if (!(f->driver.features & BIT(VIRTIO_CONSOLE_F_MULTIPORT)))
		return;
	for (unsigned i = 0; i < QUEUE_SIZE; i++)
		add_control_buffer(f, i);
	kick(f, CONTROL_IN);
}

/* As Linux does it, up to the ports being there; those of `open` are opened in the guest. */
static void shake_hands(struct fixture *f, unsigned open)
{
	struct virtio_console_control message;
	char rest[MESSAGE_BYTES];

	bring_up(f, ALL_FEATURES);
	say(f, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	for (unsigned i = 0; i < PORTS; i++)
		say(f, i, VIRTIO_CONSOLE_PORT_READY, 1);
	while (fake_vq_used_count(&f->driver.queues[CONTROL_IN]))
		next_message(f, &message, rest);
	for (unsigned i = 0; i < PORTS; i++)
		if (open & BIT(i))
			say(f, i, VIRTIO_CONSOLE_PORT_OPEN, 1);
}

/* ---- Data ---- */

static unsigned add_output(struct fixture *f, unsigned port, gpa_t gpa, uint32_t len)
{
	const struct fake_buffer buffer = {gpa, len, false};

	return fake_vq_add(&f->driver, output_queue(port), &buffer, 1, 0);
}

/* One request; true when it came back at once. */
static bool put(struct fixture *f, unsigned port, const char *text)
{
	unsigned head;
	uint32_t len = (uint32_t)strlen(text);

	memcpy(host(f, f->data, len), text, len);
	add_output(f, port, f->data, len);
	kick(f, output_queue(port));
	return fake_vq_take(&f->driver, output_queue(port), &head, &len);
}

static void add_room(struct fixture *f, unsigned port, unsigned number, uint32_t bytes)
{
	const struct fake_buffer buffer = {f->input + (gpa_t)number * PIECE_BYTES, bytes, true};

	fake_vq_add(&f->driver, input_queue(port), &buffer, 1, 0);
}

static void expect_input(struct fixture *f, unsigned port, unsigned number, const char *text)
{
	unsigned head;
	uint32_t len;

	run(f);
	assert_true(fake_vq_take(&f->driver, input_queue(port), &head, &len));
	assert_int_equal(len, strlen(text));
	assert_memory_equal(
		host(f, f->input + (gpa_t)number * PIECE_BYTES, PIECE_BYTES), text, len);
}

static int join(struct fixture *f)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	run(f);
	return fd;
}

/* ---- What the driver finds ---- */

static uint64_t read_config(struct fixture *f, unsigned offset, unsigned size)
{
	return fake_machine_mmio_read(f->fm, f->driver.base + VIRTIO_MMIO_CONFIG + offset, size);
}

static void test_device_describes_itself(void **state)
{
	struct fixture *f = *state;
	uint64_t offered = fake_driver_offered(&f->driver);

	assert_int_equal(fake_driver_read(&f->driver, VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_CONSOLE);
	assert_true(offered & BIT(VIRTIO_CONSOLE_F_MULTIPORT));
	assert_true(offered & BIT(VIRTIO_CONSOLE_F_SIZE));
	assert_true(offered & BIT(VIRTIO_CONSOLE_F_EMERG_WRITE));
	assert_int_equal(
		read_config(f, offsetof(struct virtio_console_config, max_nr_ports), 4), PORTS);
	assert_int_equal(vdev_of(f)->queue_count, QUEUES);
}

/* Its driver has a console when it returns, as there is no message to wait for. */
static void test_plain_console_has_no_messages(void **state)
{
	struct fixture *f = *state;
	struct device_port ports[] = {{.chr = f->chrs[HVC0]}, {.name = "a", .chr = f->chrs[LOG]}};
	struct device_args args = {
		.name = "virtio-console1", .ports = ports, .port_count = 1, .is_plain = true};

	for (unsigned count = 1; count <= 2; count++) {
		struct virtio_dev *vdev;
		struct device *device;

		args.port_count = count;
		assert_int_equal(device_create(&device, &virtio_console_class, &args, NULL), 0);
		vdev = CONTAINER_OF(device, struct virtio_dev, dev);
		assert_int_equal(!(vdev->offered & BIT(VIRTIO_CONSOLE_F_MULTIPORT)), count == 1);
		device_destroy(device);
	}
}

static void test_handshake(void **state)
{
	struct fixture *f = *state;

	bring_up(f, ALL_FEATURES);
	expect_silence(f);
	say(f, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	for (unsigned i = 0; i < PORTS; i++)
		expect(f, i, VIRTIO_CONSOLE_PORT_ADD, 1);
	expect_silence(f);
	say(f, HVC0, VIRTIO_CONSOLE_PORT_READY, 1);
	expect(f, HVC0, VIRTIO_CONSOLE_CONSOLE_PORT, 1);
	expect(f, HVC0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	say(f, LOG, VIRTIO_CONSOLE_PORT_READY, 1);
	expect_text(f, LOG, VIRTIO_CONSOLE_PORT_NAME, 1, "log");
	expect(f, LOG, VIRTIO_CONSOLE_PORT_OPEN, 1);
	say(f, AGENT, VIRTIO_CONSOLE_PORT_READY, 1);
	expect_text(f, AGENT, VIRTIO_CONSOLE_PORT_NAME, 1, "agent");
	expect_silence(f);
	assert_int_equal(guest_errors(f), 0);
}

static void test_ports_without_hvc0(void **state)
{
	struct fixture *f = *state;

	assert_false(fake_driver_offered(&f->driver) & BIT(VIRTIO_CONSOLE_F_SIZE));
	bring_up(f, ALL_FEATURES);
	say(f, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	expect(f, LOG, VIRTIO_CONSOLE_PORT_ADD, 1);
	expect_silence(f);
	assert_true(put(f, LOG, "written"));
	assert_string_equal(chr_memory_output(f->chrs[LOG], NULL), "written");
	assert_int_equal(guest_errors(f), 0);
	/* And nothing where hvc0 would be. */
	assert_true(put(f, HVC0, "lost"));
	say(f, HVC0, VIRTIO_CONSOLE_PORT_READY, 1);
	assert_int_equal(guest_errors(f), 2);
}

static void test_driver_that_knows_no_ports(void **state)
{
	struct fixture *f = *state;

	bring_up(f, ~BIT(VIRTIO_CONSOLE_F_MULTIPORT));
	assert_true(put(f, HVC0, "printed"));
	assert_string_equal(chr_memory_output(f->chrs[HVC0], NULL), "printed");
	add_room(f, HVC0, 0, PIECE_BYTES);
	kick(f, input_queue(HVC0));
	chr_memory_feed(f->chrs[HVC0], "typed", 5);
	expect_input(f, HVC0, 0, "typed");
	assert_int_equal(guest_errors(f), 0);
	assert_true(put(f, LOG, "to nobody"));
	assert_int_equal(guest_errors(f), 1);
}

/* ---- Who is there ---- */

static void test_host_side_comes_and_goes(void **state)
{
	struct fixture *f = *state;
	int fd;

	shake_hands(f, 0);
	fd = join(f);
	expect(f, AGENT, VIRTIO_CONSOLE_PORT_OPEN, 1);
	close(fd);
	run(f);
	expect(f, AGENT, VIRTIO_CONSOLE_PORT_OPEN, 0);
	fd = join(f);
	expect(f, AGENT, VIRTIO_CONSOLE_PORT_OPEN, 1);
	expect_silence(f);
	close(fd);
	run(f);
}

/* A program in the guest that reads until the end gets everything before it. */
static void test_end_comes_behind_the_input(void **state)
{
	struct fixture *f = *state;
	int fd;

	shake_hands(f, BIT(AGENT));
	fd = join(f);
	expect(f, AGENT, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_int_equal(send(fd, "the last words", 14, 0), 14);
	close(fd);
	expect_silence(f);
	add_room(f, AGENT, 0, 9);
	kick(f, input_queue(AGENT));
	expect_input(f, AGENT, 0, "the last ");
	expect_silence(f);
	add_room(f, AGENT, 1, 100);
	kick(f, input_queue(AGENT));
	expect_input(f, AGENT, 1, "words");
	expect(f, AGENT, VIRTIO_CONSOLE_PORT_OPEN, 0);
	expect_silence(f);
}

/* The driver has no buffers while one leaves and another comes: it has to learn of both. */
static void test_change_of_client_is_told(void **state)
{
	struct fixture *f = *state;
	int fd;

	fake_driver_bring_up(&f->driver, ALL_FEATURES, QUEUES, QUEUE_SIZE);
	say(f, AGENT, VIRTIO_CONSOLE_PORT_READY, 1);
	for (int i = 0; i < 3; i++) {
		fd = join(f);
		close(fd);
		run(f);
	}
	fd = join(f);
	for (unsigned i = 0; i < QUEUE_SIZE; i++)
		add_control_buffer(f, i);
	kick(f, CONTROL_IN);
	expect_text(f, AGENT, VIRTIO_CONSOLE_PORT_NAME, 1, "agent");
	expect(f, AGENT, VIRTIO_CONSOLE_PORT_OPEN, 0);
	expect(f, AGENT, VIRTIO_CONSOLE_PORT_OPEN, 1);
	expect_silence(f);
	close(fd);
	run(f);
}

static void test_host_side_that_is_there_first(void **state)
{
	struct fixture *f = *state;
	int fd = join(f);

	bring_up(f, ALL_FEATURES);
	say(f, AGENT, VIRTIO_CONSOLE_PORT_READY, 1);
	expect_text(f, AGENT, VIRTIO_CONSOLE_PORT_NAME, 1, "agent");
	expect(f, AGENT, VIRTIO_CONSOLE_PORT_OPEN, 1);
	close(fd);
	run(f);
}

/* A driver that wakes from hibernation has reset the device and goes on from PORT_READY. */
static void test_driver_wakes_up(void **state)
{
	struct fixture *f = *state;

	shake_hands(f, BIT(LOG));
	bring_up(f, ALL_FEATURES);
	say(f, LOG, VIRTIO_CONSOLE_PORT_READY, 1);
	say(f, LOG, VIRTIO_CONSOLE_PORT_OPEN, 1);
	expect_text(f, LOG, VIRTIO_CONSOLE_PORT_NAME, 1, "log");
	expect(f, LOG, VIRTIO_CONSOLE_PORT_OPEN, 1);
	add_room(f, LOG, 0, PIECE_BYTES);
	kick(f, input_queue(LOG));
	chr_memory_feed(f->chrs[LOG], "hello", 5);
	expect_input(f, LOG, 0, "hello");
	assert_int_equal(guest_errors(f), 0);
}

/* ---- Size ---- */

static void wait_for_size(struct fixture *f, unsigned columns, unsigned rows)
{
	set_size(f, columns, rows);
	raise(SIGWINCH);
	run(f);
}

static void test_size_of_the_terminal(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(read_config(f, offsetof(struct virtio_console_config, cols), 2), 132);
	assert_int_equal(read_config(f, offsetof(struct virtio_console_config, rows), 2), 43);
	bring_up(f, ALL_FEATURES);
	wait_for_size(f, 100, 30);
	/* No port, no message. */
	expect_silence(f);
	say(f, HVC0, VIRTIO_CONSOLE_PORT_READY, 1);
	expect(f, HVC0, VIRTIO_CONSOLE_CONSOLE_PORT, 1);
	expect_size(f, 100, 30);
	expect(f, HVC0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	wait_for_size(f, 80, 25);
	expect_size(f, 80, 25);
	/* The same once more is no change. */
	wait_for_size(f, 80, 25);
	expect_silence(f);
	assert_int_equal(read_config(f, offsetof(struct virtio_console_config, cols), 2), 80);
}

static void test_size_without_ports(void **state)
{
	struct fixture *f = *state;
	uint32_t generation;

	bring_up(f, ~BIT(VIRTIO_CONSOLE_F_MULTIPORT));
	generation = fake_driver_read(&f->driver, VIRTIO_MMIO_CONFIG_GENERATION);
	wait_for_size(f, 100, 30);
	assert_int_equal(fake_driver_ack(&f->driver), VIRTIO_MMIO_INT_CONFIG);
	assert_int_equal(read_config(f, offsetof(struct virtio_console_config, rows), 2), 30);
	assert_int_not_equal(
		fake_driver_read(&f->driver, VIRTIO_MMIO_CONFIG_GENERATION), generation);
}

/* ---- Bytes ---- */

static void test_bytes_to_and_fro(void **state)
{
	struct fixture *f = *state;
	char buf[16] = "";
	int fd;

	shake_hands(f, BIT(HVC0) | BIT(LOG) | BIT(AGENT));
	fd = join(f);
	for (unsigned i = 0; i < PORTS; i++) {
		add_room(f, i, i, PIECE_BYTES);
		kick(f, input_queue(i));
	}
	assert_true(put(f, HVC0, "a console"));
	assert_true(put(f, LOG, "a log"));
	assert_true(put(f, AGENT, "an agent\n"));
	assert_string_equal(chr_memory_output(f->chrs[HVC0], NULL), "a console");
	assert_string_equal(chr_memory_output(f->chrs[LOG], NULL), "a log");
	assert_int_equal(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), 9);
	assert_string_equal(buf, "an agent\n");
	chr_memory_feed(f->chrs[HVC0], "keys", 4);
	chr_memory_feed(f->chrs[LOG], "words", 5);
	assert_int_equal(send(fd, "commands", 8, 0), 8);
	expect_input(f, HVC0, HVC0, "keys");
	expect_input(f, LOG, LOG, "words");
	expect_input(f, AGENT, AGENT, "commands");
	assert_int_equal(guest_errors(f), 0);
	close(fd);
	run(f);
}

struct irq_wait {
	struct fixture *f;
	uint64_t count;
};

static bool has_interrupt(void *opaque)
{
	const struct irq_wait *wait = opaque;

	return fake_machine_irq_count(wait->f->fm, wait->f->driver.gsi) > wait->count;
}

/* Answered on the spot; and the interrupt spared if the driver has taken the answer. */
static void test_hvc0_is_prompt(void **state)
{
	struct fixture *f = *state;
	struct fake_vq *vq = &f->driver.queues[output_queue(HVC0)];
	struct irq_wait wait = {f, 0};
	unsigned head;
	uint32_t len;

	shake_hands(f, BIT(HVC0));
	/* The very first answer always interrupts. */
	assert_true(put(f, HVC0, "hello"));
	assert_true(fake_machine_run_until(f->fm, has_interrupt, &wait));
	while (vdev_of(f)->queues[output_queue(HVC0)].pushed)
		loop_run_once(f->fm->loop, 10);
	vq->avail[2 + QUEUE_SIZE] = vq->used_idx;
	wait.count = fake_machine_irq_count(f->fm, f->driver.gsi);
	for (unsigned i = 0; i < 3; i++) {
		add_output(f, HVC0, f->data, 5);
		fake_driver_kick(&f->driver, output_queue(HVC0));
		assert_true(fake_vq_take(&f->driver, output_queue(HVC0), &head, &len));
		/* What Linux does when it takes a buffer: used_event. */
		vq->avail[2 + QUEUE_SIZE] = vq->used_idx;
	}
	while (vdev_of(f)->queues[output_queue(HVC0)].pushed)
		loop_run_once(f->fm->loop, 10);
	assert_false(has_interrupt(&wait));
	add_output(f, HVC0, f->data, 5);
	fake_driver_kick(&f->driver, output_queue(HVC0));
	assert_true(fake_machine_run_until(f->fm, has_interrupt, &wait));
	assert_true(fake_vq_take(&f->driver, output_queue(HVC0), &head, &len));
}

static void test_spread_output(void **state)
{
	struct fixture *f = *state;
	const struct fake_buffer pieces[] = {
		{f->data, 2, false}, {f->data + 100, 0, false}, {f->data + 200, 3, false}};
	gpa_t table = fake_driver_alloc(&f->driver, 4096, 16);

	shake_hands(f, 0);
	memcpy(host(f, f->data, 2), "ab", 2);
	memcpy(host(f, f->data + 200, 3), "cde", 3);
	fake_vq_add(&f->driver, output_queue(LOG), pieces, 3, table);
	kick(f, output_queue(LOG));
	assert_string_equal(chr_memory_output(f->chrs[LOG], NULL), "abcde");
}

/* Input waits for the guest's program, and then for its buffers; nothing of it is lost. */
static void test_no_input_buffers(void **state)
{
	struct fixture *f = *state;

	shake_hands(f, 0);
	add_room(f, LOG, 0, 4);
	add_room(f, LOG, 1, 4);
	kick(f, input_queue(LOG));
	chr_memory_feed(f->chrs[LOG], "123456789", 9);
	run(f);
	assert_int_equal(fake_vq_used_count(&f->driver.queues[input_queue(LOG)]), 0);
	say(f, LOG, VIRTIO_CONSOLE_PORT_OPEN, 1);
	expect_input(f, LOG, 0, "1234");
	expect_input(f, LOG, 1, "5678");
	run(f);
	assert_int_equal(fake_vq_used_count(&f->driver.queues[input_queue(LOG)]), 0);
	/* A driver that was told it need not kick for buffers would now wait for ever. */
	add_room(f, LOG, 2, 4);
	assert_true(fake_vq_needs_kick(&f->driver, input_queue(LOG)));
	kick(f, input_queue(LOG));
	expect_input(f, LOG, 2, "9");
	say(f, LOG, VIRTIO_CONSOLE_PORT_OPEN, 0);
	add_room(f, LOG, 3, 4);
	kick(f, input_queue(LOG));
	chr_memory_feed(f->chrs[LOG], "late", 4);
	run(f);
	assert_int_equal(fake_vq_used_count(&f->driver.queues[input_queue(LOG)]), 0);
	say(f, LOG, VIRTIO_CONSOLE_PORT_OPEN, 1);
	expect_input(f, LOG, 3, "late");
}

static void test_output_waits_for_a_client(void **state)
{
	struct fixture *f = *state;
	unsigned head;
	uint32_t len;
	char buf[16] = "";
	int fd;

	shake_hands(f, BIT(AGENT));
	assert_false(put(f, AGENT, "for you\n"));
	fd = join(f);
	assert_true(fake_vq_take(&f->driver, output_queue(AGENT), &head, &len));
	assert_int_equal(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), 8);
	assert_string_equal(buf, "for you\n");
	close(fd);
	run(f);
	/* Who comes later gets nothing of that. */
	fd = join(f);
	assert_int_equal(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), -1);
	close(fd);
	run(f);
}

static void fill_with_numbers(struct fixture *f, unsigned bytes)
{
	uint8_t *data = host(f, f->data, bytes);

	for (unsigned i = 0; i < bytes; i++)
		data[i] = (uint8_t)(i % 251);
}

/* A port with a name: the request stays until the host side goes on, as long as that takes. */
static void test_slow_reader_holds_the_request(void **state)
{
	struct fixture *f = *state;
	const unsigned bytes = CHR_OUTPUT_BYTES + 5000;
	const char *output;
	unsigned head;
	uint32_t len;
	size_t count;

	shake_hands(f, 0);
	fill_with_numbers(f, bytes);
	chr_memory_stall(f->chrs[LOG], true);
	add_output(f, LOG, f->data, bytes);
	kick(f, output_queue(LOG));
	assert_false(fake_vq_take(&f->driver, output_queue(LOG), &head, &len));
	/* Others go on. */
	assert_true(put(f, HVC0, "alive\n"));
	fill_with_numbers(f, bytes);
	chr_memory_stall(f->chrs[LOG], false);
	run(f);
	assert_true(fake_vq_take(&f->driver, output_queue(LOG), &head, &len));
	output = chr_memory_output(f->chrs[LOG], &count);
	/* The memory keeps the first 64 KiB. */
	assert_int_equal(count, CHR_MEMORY_BYTES);
	assert_memory_equal(output, host(f, f->data, bytes), count);
	chr_memory_clear_output(f->chrs[LOG]);
	assert_true(put(f, LOG, "the end\n"));
	assert_string_equal(chr_memory_output(f->chrs[LOG], NULL), "the end\n");
}

struct wait {
	struct fixture *f;
	unsigned queue;
};

static bool has_answer(void *opaque)
{
	const struct wait *wait = opaque;

	return fake_vq_used_count(&wait->f->driver.queues[wait->queue]);
}

/* hvc0: the guest's kernel spins meanwhile, so that the wait has an end; the loss is told. */
static void test_stopped_reader_of_hvc0(void **state)
{
	struct fixture *f = *state;
	struct wait wait = {f, output_queue(HVC0)};
	unsigned head;
	uint32_t len;
	const char *output;

	shake_hands(f, BIT(HVC0));
	fill_with_numbers(f, 2 * CHR_OUTPUT_BYTES);
	chr_memory_stall(f->chrs[HVC0], true);
	add_output(f, HVC0, f->data, CHR_OUTPUT_BYTES + 1000);
	kick(f, output_queue(HVC0));
	assert_false(has_answer(&wait));
	assert_true(fake_machine_run_until(f->fm, has_answer, &wait));
	assert_true(fake_vq_take(&f->driver, output_queue(HVC0), &head, &len));
	/* From here on it does not wait any more. */
	assert_true(put(f, HVC0, "lost as well"));
	chr_memory_stall(f->chrs[HVC0], false);
	run(f);
	chr_memory_clear_output(f->chrs[HVC0]);
	assert_true(put(f, HVC0, "read again\n"));
	output = chr_memory_output(f->chrs[HVC0], NULL);
	assert_non_null(strstr(output, "read again\n"));
	/* And waits again. */
	chr_memory_stall(f->chrs[HVC0], true);
	add_output(f, HVC0, f->data, CHR_OUTPUT_BYTES + 1000);
	kick(f, output_queue(HVC0));
	assert_false(has_answer(&wait));
	chr_memory_stall(f->chrs[HVC0], false);
}

static void test_loss_is_told_in_its_place(void **state)
{
	struct fixture *f = *state;
	struct wait wait = {f, output_queue(HVC0)};
	const char *told = "\r\n[vmm: 1000 bytes of output were not read]\r\n";
	unsigned head;
	uint32_t len;

	shake_hands(f, BIT(HVC0));
	memset(host(f, f->data, CHR_OUTPUT_BYTES + 1000), '.', CHR_OUTPUT_BYTES + 1000);
	chr_memory_stall(f->chrs[HVC0], true);
	add_output(f, HVC0, f->data, CHR_OUTPUT_BYTES + 1000);
	kick(f, output_queue(HVC0));
	assert_true(fake_machine_run_until(f->fm, has_answer, &wait));
	assert_true(fake_vq_take(&f->driver, output_queue(HVC0), &head, &len));
	/* Frees the ring; what comes then is kept by the memory only after it is cleared. */
	chr_memory_stall(f->chrs[HVC0], false);
	loop_run_once(f->fm->loop, 0);
	chr_memory_clear_output(f->chrs[HVC0]);
	run(f);
	assert_string_equal(chr_memory_output(f->chrs[HVC0], NULL), told);
}

/* ---- Hostile drivers ---- */

static void test_hostile_messages(void **state)
{
	static const struct virtio_console_control bad[] = {
		{PORTS, VIRTIO_CONSOLE_PORT_READY, 1},
		{0x7fffffff, VIRTIO_CONSOLE_PORT_OPEN, 1},
		{VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_PORT_OPEN, 1},
		{HVC0, VIRTIO_CONSOLE_PORT_ADD, 1},
		{HVC0, VIRTIO_CONSOLE_PORT_NAME, 1},
		{LOG, VIRTIO_CONSOLE_RESIZE, 1},
		{LOG, VIRTIO_CONSOLE_PORT_REMOVE, 1},
		{LOG, 0xffff, 0xffff},
	};
	struct fixture *f = *state;
	struct fake_buffer buffer = {f->message, 7, false};
	unsigned head;
	uint32_t len;

	bring_up(f, ALL_FEATURES);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		say(f, bad[i].id, bad[i].event, bad[i].value);
	assert_int_equal(guest_errors(f), ARRAY_SIZE(bad));
	/* Cut, empty, and nothing readable at all. */
	for (unsigned i = 0; i < 3; i++) {
		fake_vq_add(&f->driver, CONTROL_OUT, &buffer, 1, 0);
		kick(f, CONTROL_OUT);
		assert_true(fake_vq_take(&f->driver, CONTROL_OUT, &head, &len));
		assert_int_equal(len, 0);
		buffer.len = i ? MESSAGE_BYTES : 0;
		buffer.writable = i;
	}
	assert_int_equal(guest_errors(f), ARRAY_SIZE(bad) + 3);
	expect_silence(f);
	/* A driver that gives up, on the device and on a port. */
	say(f, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 0);
	say(f, LOG, VIRTIO_CONSOLE_PORT_READY, 0);
	expect_silence(f);
}

static void test_many_messages(void **state)
{
	struct fixture *f = *state;

	fake_driver_bring_up(&f->driver, ALL_FEATURES, QUEUES, QUEUE_SIZE);
	for (unsigned i = 0; i < 500; i++) {
		say(f, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
		say(f, LOG, VIRTIO_CONSOLE_PORT_READY, 1);
		say(f, LOG, VIRTIO_CONSOLE_PORT_OPEN, i & 1);
	}
	for (unsigned i = 0; i < QUEUE_SIZE; i++)
		add_control_buffer(f, i);
	kick(f, CONTROL_IN);
	expect(f, HVC0, VIRTIO_CONSOLE_PORT_ADD, 1);
	expect(f, LOG, VIRTIO_CONSOLE_PORT_ADD, 1);
	expect_text(f, LOG, VIRTIO_CONSOLE_PORT_NAME, 1, "log");
	expect(f, LOG, VIRTIO_CONSOLE_PORT_OPEN, 1);
	expect(f, AGENT, VIRTIO_CONSOLE_PORT_ADD, 1);
	expect_silence(f);
}

static void test_small_control_buffers(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer buffer = {f->control, 0, true};
	unsigned head;
	uint32_t len;

	fake_driver_bring_up(&f->driver, ALL_FEATURES, QUEUES, QUEUE_SIZE);
	say(f, LOG, VIRTIO_CONSOLE_PORT_READY, 1);
	for (; buffer.len < sizeof(struct virtio_console_control) + 3; buffer.len++) {
		fake_vq_add(&f->driver, CONTROL_IN, &buffer, 1, 0);
		kick(f, CONTROL_IN);
		assert_true(fake_vq_take(&f->driver, CONTROL_IN, &head, &len));
		assert_int_equal(len, 0);
	}
	/* The message is still there. */
	fake_vq_add(&f->driver, CONTROL_IN, &buffer, 1, 0);
	kick(f, CONTROL_IN);
	assert_true(fake_vq_take(&f->driver, CONTROL_IN, &head, &len));
	assert_int_equal(len, buffer.len);
}

static void test_buffers_without_room(void **state)
{
	struct fixture *f = *state;
	struct fake_buffer readable = {f->data, 100, false};
	unsigned head;
	uint32_t len;

	shake_hands(f, BIT(LOG));
	chr_memory_feed(f->chrs[LOG], "input", 5);
	for (unsigned i = 0; i < QUEUE_SIZE - 1; i++)
		if (i & 1)
			add_room(f, LOG, i, 0);
		else
			fake_vq_add(&f->driver, input_queue(LOG), &readable, 1, 0);
	add_room(f, LOG, QUEUE_SIZE - 1, PIECE_BYTES);
	kick(f, input_queue(LOG));
	for (unsigned i = 0; i < QUEUE_SIZE - 1; i++) {
		assert_true(fake_vq_take(&f->driver, input_queue(LOG), &head, &len));
		assert_int_equal(len, 0);
	}
	expect_input(f, LOG, QUEUE_SIZE - 1, "input");
	assert_int_equal(guest_errors(f), QUEUE_SIZE - 1);
}

/* A chain that names the same memory again and again: half a gigabyte in one request. */
static void test_huge_output(void **state)
{
	struct fixture *f = *state;
	static struct fake_buffer pieces[64];
	gpa_t table = fake_driver_alloc(&f->driver, 4096, 16);
	unsigned head;
	uint32_t len, turns = 0;

	shake_hands(f, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(pieces); i++)
		pieces[i] = (struct fake_buffer){f->data, 8 * MIB, false};
	fake_vq_add(&f->driver, output_queue(LOG), pieces, ARRAY_SIZE(pieces), table);
	fake_driver_kick(&f->driver, output_queue(LOG));
	while (!fake_vq_take(&f->driver, output_queue(LOG), &head, &len)) {
		assert_true(loop_run_once(f->fm->loop, 1000));
		turns++;
	}
	/* Others had their turn many times. */
	assert_true(turns > 1000);
}

static void test_queues_of_no_port(void **state)
{
	struct fixture *f = *state;

	bring_up(f, ~BIT(VIRTIO_CONSOLE_F_MULTIPORT));
	for (unsigned queue = 2; queue < QUEUES; queue++) {
		const struct fake_buffer buffer = {f->data, 100, queue & 1};
		unsigned head;
		uint32_t len;

		fake_vq_add(&f->driver, queue, &buffer, 1, 0);
		kick(f, queue);
		assert_true(fake_vq_take(&f->driver, queue, &head, &len));
	}
	assert_int_equal(guest_errors(f), QUEUES - 2);
}

static void test_broken_ring(void **state)
{
	struct fixture *f = *state;

	shake_hands(f, BIT(HVC0) | BIT(LOG));
	add_room(f, LOG, 0, 16);
	kick(f, input_queue(LOG));
	fake_vq_publish(&f->driver.queues[output_queue(LOG)], QUEUE_SIZE);
	kick(f, output_queue(LOG));
	assert_true(fake_driver_read(&f->driver, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
	/* It stands still, whatever comes from the host. */
	chr_memory_feed(f->chrs[HVC0], "x", 1);
	chr_memory_feed(f->chrs[LOG], "y", 1);
	run(f);
	shake_hands(f, BIT(HVC0) | BIT(LOG));
	assert_true(put(f, LOG, "well\n"));
	assert_string_equal(chr_memory_output(f->chrs[LOG], NULL), "well\n");
}

static void test_reset_in_flight(void **state)
{
	struct fixture *f = *state;

	shake_hands(f, BIT(HVC0) | BIT(LOG));
	for (unsigned i = 0; i < 2; i++) {
		add_room(f, i, i, 16);
		kick(f, input_queue(i));
		chr_memory_stall(f->chrs[i], true);
		add_output(f, i, f->data, CHR_OUTPUT_BYTES + 100);
		kick(f, output_queue(i));
	}
	assert_int_equal(vdev_of(f)->queues[output_queue(LOG)].ring.in_flight, 1);
	device_reset(f->device);
	for (unsigned i = 0; i < QUEUES; i++)
		assert_int_equal(vdev_of(f)->queues[i].ring.in_flight, 0);
	for (unsigned i = 0; i < 2; i++)
		chr_memory_stall(f->chrs[i], false);
	run(f);
	shake_hands(f, BIT(LOG));
	chr_memory_clear_output(f->chrs[LOG]);
	assert_true(put(f, LOG, "anew\n"));
	assert_string_equal(chr_memory_output(f->chrs[LOG], NULL), "anew\n");
	assert_int_equal(guest_errors(f), 0);
}

/* One queue is taken away while requests of it are in flight. */
static void test_stop_in_flight(void **state)
{
	struct fixture *f = *state;

	shake_hands(f, BIT(LOG));
	chr_memory_stall(f->chrs[LOG], true);
	add_output(f, LOG, f->data, CHR_OUTPUT_BYTES + 100);
	kick(f, output_queue(LOG));
	add_room(f, LOG, 0, 16);
	chr_memory_feed(f->chrs[LOG], "", 0);
	kick(f, input_queue(LOG));
	fake_driver_write(&f->driver, VIRTIO_MMIO_QUEUE_SEL, output_queue(LOG));
	fake_driver_write(&f->driver, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(vdev_of(f)->queues[output_queue(LOG)].ring.in_flight, 0);
	chr_memory_stall(f->chrs[LOG], false);
	run(f);
	chr_memory_feed(f->chrs[LOG], "on", 2);
	run(f);
	assert_int_equal(guest_errors(f), 0);
}

static void test_emergency_write(void **state)
{
	struct fixture *f = *state;
	uint64_t at = f->driver.base + VIRTIO_MMIO_CONFIG +
		offsetof(struct virtio_console_config, emerg_wr);

	/* Before any driver. */
	fake_machine_mmio_write(f->fm, at, 4, '!');
	assert_string_equal(chr_memory_output(f->chrs[HVC0], NULL), "!");
	/* Nowhere else. */
	fake_machine_mmio_write(f->fm, at - 4, 4, 1);
	fake_machine_mmio_write(f->fm, at + 1, 1, 'x');
	fake_machine_mmio_write(f->fm, at, 8, 'x');
	assert_int_equal(guest_errors(f), 3);
	assert_string_equal(chr_memory_output(f->chrs[HVC0], NULL), "!");
	/* Without end, to a host side that takes nothing. */
	chr_memory_stall(f->chrs[HVC0], true);
	for (unsigned i = 0; i < 2 * CHR_OUTPUT_BYTES; i++)
		fake_machine_mmio_write(f->fm, at, 4, '?');
}

static void test_full_disk(void **state)
{
	struct fixture *f = *state;

	shake_hands(f, 0);
	chr_memory_fail(f->chrs[LOG], 28);
	assert_true(put(f, LOG, "first\n"));
	assert_true(put(f, LOG, "second\n"));
	assert_true(put(f, HVC0, "alive\n"));
	assert_string_equal(chr_memory_output(f->chrs[HVC0], NULL), "alive\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(device_describes_itself),
		TEST(plain_console_has_no_messages),
		TEST(handshake),
		cmocka_unit_test_setup_teardown(
			test_ports_without_hvc0, setup_without_hvc0, teardown),
		TEST(driver_that_knows_no_ports),
		TEST(host_side_comes_and_goes),
		TEST(end_comes_behind_the_input),
		TEST(change_of_client_is_told),
		TEST(host_side_that_is_there_first),
		TEST(driver_wakes_up),
		cmocka_unit_test_setup_teardown(
			test_size_of_the_terminal, setup_terminal, teardown),
		cmocka_unit_test_setup_teardown(test_size_without_ports, setup_terminal, teardown),
		TEST(bytes_to_and_fro),
		TEST(hvc0_is_prompt),
		TEST(spread_output),
		TEST(no_input_buffers),
		TEST(output_waits_for_a_client),
		TEST(slow_reader_holds_the_request),
		TEST(stopped_reader_of_hvc0),
		TEST(loss_is_told_in_its_place),
		TEST(hostile_messages),
		TEST(many_messages),
		TEST(small_control_buffers),
		TEST(buffers_without_room),
		TEST(huge_output),
		TEST(queues_of_no_port),
		TEST(broken_ring),
		TEST(reset_in_flight),
		TEST(stop_in_flight),
		TEST(emergency_write),
		TEST(full_disk),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
