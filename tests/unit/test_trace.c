/*
 * trace and trace_ring: what is noted is in the file, in its order; a full ring is told of; what is
 * no trace is left alone; a disk that is full is said once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fake/fake_machine.h"
#include "vmm/core/trace.h"
#include "vmm/core/trace_ring.h"
#include "vmm/tools/trace_file.h"

extern const struct device_class boot_mark_class;

static char folder[] = "/tmp/test_trace.XXXXXX";
static char path[64];

static int make_folder(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/trace", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

/* ---- The ring ---- */

static void ring_keeps_order_over_its_end(void **state)
{
	struct trace_ring ring;
	uint64_t put = 0, got = 0;

	(void)state;
	assert_true(trace_ring_init(&ring));
	while (got < 3 * (uint64_t)TRACE_RING_BYTES / 24) {
		const uint8_t *piece;
		uint64_t pair[2] = {put, ~put};
		bool is_half;
		size_t bytes;

		while (trace_ring_put(&ring, pair, sizeof(pair), "odd", 3, &is_half)) {
			pair[0] = ++put;
			pair[1] = ~put;
		}
		assert_true(trace_ring_room(&ring) < 24);
		for (int i = 0; i < 2; i++) {
			bytes = trace_ring_peek(&ring, &piece);
			trace_ring_drop(&ring, bytes);
			got += bytes;
		}
		assert_int_equal(trace_ring_room(&ring), TRACE_RING_BYTES);
		assert_int_equal(got, put * 24);
	}
	trace_ring_finish(&ring);
}

static void ring_says_when_it_is_half_full(void **state)
{
	static const uint8_t record[1024];
	struct trace_ring ring;
	unsigned halves = 0;
	bool is_half;

	(void)state;
	assert_true(trace_ring_init(&ring));
	while (trace_ring_put(&ring, record, sizeof(record), NULL, 0, &is_half))
		halves += is_half;
	assert_int_equal(halves, 1);
	assert_int_equal(trace_ring_room(&ring), 0);
	trace_ring_finish(&ring);
}

enum {
	PASSED = 200000
};

static void *take_numbers(void *opaque)
{
	struct trace_ring *ring = opaque;
	uint64_t next = 0;

	while (next < PASSED) {
		const uint8_t *piece;
		size_t bytes = trace_ring_peek(ring, &piece);

		for (size_t at = 0; at < bytes; at += 8)
			if (load_le64(piece + at) != next++)
				return "a number is missing or twice there";
		trace_ring_drop(ring, bytes);
	}
	return NULL;
}

static void ring_passes_between_threads(void **state)
{
	struct trace_ring ring;
	pthread_t taker;
	void *wrong;

	(void)state;
	assert_true(trace_ring_init(&ring));
	assert_int_equal(pthread_create(&taker, NULL, take_numbers, &ring), 0);
	for (uint64_t i = 0; i < PASSED;) {
		bool is_half;

		i += trace_ring_put(&ring, &i, sizeof(i), NULL, 0, &is_half);
	}
	pthread_join(taker, &wrong);
	assert_null(wrong);
	trace_ring_finish(&ring);
}

/* ---- The file ---- */

static struct trace *start_trace(unsigned cpus)
{
	struct err err = ERR_INIT;
	struct trace *trace;

	if (trace_open(&trace, &(struct trace_config){.path = path, .cpus = cpus}, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(trace_start(trace, &err), 0);
	return trace;
}

static int open_trace(struct trace **trace, const char *name, struct err *err)
{
	return trace_open(trace, &(struct trace_config){.path = name, .cpus = 1}, err);
}

static void load(struct trace_file *file)
{
	struct err err = ERR_INIT;

	if (trace_file_load(file, path, &err) < 0)
		fail_msg("%s", err.text);
}

struct note {
	struct trace *trace;
	unsigned cpu;
};

enum {
	NOTES = 50000
};

static void *note_exits(void *opaque)
{
	const struct note *note = opaque;

	trace_attach(note->trace, note->cpu);
	for (uint64_t i = 0; i < NOTES; i++) {
		struct trace_exit exit = {.time_ns = trace_now_ns(note->trace), .addr = i};

		trace_note_exit(note->trace, &exit);
	}
	return NULL;
}

static void all_that_is_noted_is_there(void **state)
{
	static struct trace_file file;
	struct trace *trace = start_trace(2);
	struct note notes[] = {{trace, 0}, {trace, 1}};
	pthread_t threads[2];
	uint64_t next[2] = {0}, lost = 0;

	(void)state;
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, note_exits, &notes[i]);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	trace_note_reset(trace);
	trace_close(trace);
	load(&file);
	assert_true(file.has_ended);
	assert_false(file.is_cut);
	for (size_t i = 0; i < file.event_count; i++) {
		const struct trace_exit *exit = (const struct trace_exit *)file.events[i];

		if (exit->record.type == TRACE_LOST)
			lost += ((const struct trace_lost *)exit)->count;
		if (exit->record.type != TRACE_EXIT)
			continue;
		assert_true(exit->addr >= next[exit->record.source]);
		next[exit->record.source] = exit->addr + 1;
	}
	assert_int_equal(lost, file.lost);
	/* All exits and a reset and the end are there, or were counted. */
	if (!lost)
		assert_int_equal(file.event_count, 2 * NOTES + 2);
	trace_file_free(&file);
	unlink(path);
}

static void facts_and_devices_are_there(void **state)
{
	static struct trace_file file;
	struct fake_machine *fm = fake_machine_create(MIB);
	struct device_args args = {.name = "boot-mark0"};
	struct err err = ERR_INIT;
	struct device *device;
	struct trace *trace;

	(void)state;
	assert_int_equal(device_create(&device, &boot_mark_class, &args, NULL), 0);
	device->number = 3;
	assert_int_equal(device_realize(device, &fm->platform, NULL), 0);
	assert_int_equal(open_trace(&trace, path, &err), 0);
	trace_add_fact(trace, "machine", "a small one");
	trace_add_device(trace, device);
	assert_int_equal(trace_start(trace, &err), 0);
	trace_close(trace);
	device_destroy(device);
	fake_machine_destroy(fm);

	load(&file);
	assert_string_equal(trace_file_fact(&file, "machine"), "a small one");
	assert_null(trace_file_fact(&file, "mach"));
	assert_int_equal(trace_file_find_device(&file, "boot-mark0"), 3);
	assert_int_equal(file.devices[3]->res_count, 1);
	assert_int_equal(file.devices[3]->res[0].kind, TRACE_RES_PIO);
	assert_int_equal(file.devices[3]->res[0].base, 0xe8);
	trace_file_free(&file);
	unlink(path);
}

static void lines_are_noted_and_passed_on(void **state)
{
	static struct trace_file file;
	struct fake_machine *fm = fake_machine_create(MIB);
	struct device device = {.number = 0};
	struct trace *trace = start_trace(1);
	const struct trace_irq *irq;
	struct irq_line line;

	(void)state;
	assert_int_equal(fm->platform.ops->irq_connect(fm, 5, true, &line, NULL), 0);
	assert_int_equal(trace_tap_irq(trace, &device, &line, NULL), 0);
	irq_set(&line, true);
	assert_true(fake_machine_irq_level(fm, 5));
	irq_set(&line, false);
	assert_false(fake_machine_irq_level(fm, 5));
	irq_pulse(&line);
	assert_int_equal(fake_machine_irq_count(fm, 5), 2);
	trace_close(trace);
	fake_machine_destroy(fm);

	load(&file);
	assert_int_equal(file.event_count, 4);
	for (unsigned i = 0; i < 3; i++) {
		static const uint32_t moves[] = {TRACE_IRQ_HIGH, TRACE_IRQ_LOW, TRACE_IRQ_PULSE};

		irq = (const struct trace_irq *)file.events[i];
		assert_int_equal(irq->record.type, TRACE_IRQ);
		assert_int_equal(irq->record.source, TRACE_SOURCE_HOST);
		assert_int_equal(irq->gsi, 5);
		assert_int_equal(irq->what, moves[i]);
	}
	trace_file_free(&file);
	unlink(path);
}

/* ---- Where it can't be ---- */

static void other_files_are_left_alone(void **state)
{
	struct err err = ERR_INIT;
	struct trace *trace;
	struct stat stat;
	FILE *out = fopen(path, "w");

	(void)state;
	assert_non_null(out);
	fputs("somebody's work", out);
	fclose(out);
	assert_int_equal(open_trace(&trace, path, &err), -EEXIST);
	assert_int_equal(err.kind, EXIT_CODE_DEVICE);
	assert_null(trace);
	assert_int_equal(lstat(path, &stat), 0);
	assert_int_equal(stat.st_size, strlen("somebody's work"));
	unlink(path);
	/* A trace is another matter. */
	trace_close(start_trace(1));
	trace_close(start_trace(1));
	unlink(path);
}

static void places_that_can_not_be(void **state)
{
	struct err err = ERR_INIT;
	struct trace *trace;

	(void)state;
	assert_int_equal(open_trace(&trace, folder, &err), -EISDIR);
	err = (struct err)ERR_INIT;
	assert_int_equal(open_trace(&trace, "/nowhere/trace", &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nowhere/trace"));
	assert_int_equal(mkfifo(path, 0600), 0);
	err = (struct err)ERR_INIT;
	assert_int_equal(open_trace(&trace, path, &err), -ENXIO);
	assert_non_null(strstr(err.text, "nobody reads"));
	unlink(path);
}

static void full_disk_is_said_once(void **state)
{
	struct err err = ERR_INIT;
	struct trace *trace;
	char said[1024] = "";
	int saved = dup(STDERR_FILENO), fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	dup2(fds[1], STDERR_FILENO);
	assert_int_equal(open_trace(&trace, "/dev/full", &err), 0);
	assert_int_equal(trace_start(trace, &err), 0);
	for (int i = 0; i < 1000; i++)
		trace_note_reset(trace);
	trace_close(trace);
	dup2(saved, STDERR_FILENO);
	assert_true(read(fds[0], said, sizeof(said) - 1) > 0);
	assert_non_null(strstr(said, "the machine runs on"));
	assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
	close(saved);
	close(fds[0]);
	close(fds[1]);
}

/* A pipe that nobody reads for a while: what is lost is counted. */
static void full_ring_loses_and_says_so(void **state)
{
	static struct trace_file file;
	const unsigned noted = 3 * TRACE_RING_BYTES / sizeof(struct trace_exit);
	struct err err = ERR_INIT;
	struct trace *trace;
	char *bytes = malloc(8 * MIB);
	size_t count = 0;
	int fd;

	(void)state;
	assert_non_null(bytes);
	assert_int_equal(mkfifo(path, 0600), 0);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(open_trace(&trace, path, &err), 0);
	assert_int_equal(trace_start(trace, &err), 0);
	for (unsigned i = 0; i < noted; i++)
		trace_note_exit(trace, &(struct trace_exit){.time_ns = i});
	/* From here on somebody reads, and the end has its place. */
	for (;;) {
		ssize_t got = read(fd, bytes + count, 8 * MIB - count);

		if (got > 0)
			count += (size_t)got;
		else if (count > TRACE_RING_BYTES)
			break;
	}
	trace_note_reset(trace);
	trace_close(trace);
	for (ssize_t got; (got = read(fd, bytes + count, 8 * MIB - count)) > 0;)
		count += (size_t)got;
	close(fd);
	assert_int_equal(trace_file_parse(&file, "it", bytes, count, &err), 0);
	assert_true(file.lost > 0);
	assert_int_equal(file.event_count - 3 + file.lost, noted);
	assert_true(file.has_ended);
	trace_file_free(&file);
	free(bytes);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ring_keeps_order_over_its_end),
		cmocka_unit_test(ring_says_when_it_is_half_full),
		cmocka_unit_test(ring_passes_between_threads),
		cmocka_unit_test(all_that_is_noted_is_there),
		cmocka_unit_test(facts_and_devices_are_there),
		cmocka_unit_test(lines_are_noted_and_passed_on),
		cmocka_unit_test(other_files_are_left_alone),
		cmocka_unit_test(places_that_can_not_be),
		cmocka_unit_test(full_disk_is_said_once),
		cmocka_unit_test(full_ring_loses_and_says_so),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
