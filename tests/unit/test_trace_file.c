/*
 * trace_file and trace_view: a file may say anything; what is taken from it is in its range. Sums,
 * filters and the slowest exits are those of the events.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/fake/fake_trace.h"
#include "vmm/tools/trace_file.h"
#include "vmm/tools/trace_text.h"
#include "vmm/tools/trace_view.h"

static struct fake_trace made;
static struct trace_file file;
static struct err err;

static int parse(void)
{
	err = (struct err)ERR_INIT;
	return trace_file_parse(&file, "it", made.bytes, made.count, &err);
}

static void refused(const char *why)
{
	assert_int_equal(parse(), -EINVAL);
	assert_int_equal(err.kind, EXIT_CODE_IMAGE);
	if (!strstr(err.text, why))
		fail_msg("'%s' does not say '%s'", err.text, why);
}

/* Two processors, two devices, five exits, an interrupt. */
static void make_small(void)
{
	struct trace_irq irq = {.time_ns = 2500, .device = 0, .gsi = 4, .what = TRACE_IRQ_PULSE};

	fake_trace_begin(&made, 2);
	fake_trace_add_fact(&made, "machine=a small one");
	fake_trace_add_device(&made, 0, "serial0", "serial");
	fake_trace_add_device(&made, 1, "boot-mark0", "boot-mark");
	fake_trace_add_exit(&made, 1, 4000, TRACE_PIO_WRITE, 0, 700);
	fake_trace_add_exit(&made, 0, 1000, TRACE_PIO_WRITE, 0, 100);
	fake_trace_add_exit(&made, 0, 2000, TRACE_PIO_READ, 0, 300);
	fake_trace_add(&made, TRACE_IRQ, TRACE_SOURCE_HOST, &irq, sizeof(irq));
	fake_trace_add_exit(&made, 0, 3000, TRACE_PIO_WRITE, 1, 50);
	fake_trace_add_exit(&made, 0, 5000, TRACE_MMIO_READ, TRACE_DEVICE_NONE, 20);
	fake_trace_add_moment(&made, TRACE_END, 6000);
}

static void events_come_in_order_of_time(void **state)
{
	(void)state;
	make_small();
	assert_int_equal(parse(), 0);
	assert_int_equal(file.event_count, 7);
	for (size_t i = 1; i < file.event_count; i++)
		assert_true(trace_event_time_ns(file.events[i - 1]) <=
			trace_event_time_ns(file.events[i]));
	assert_int_equal(file.end_ns, 6000);
	assert_true(file.has_ended);
	assert_string_equal(trace_file_device_name(&file, TRACE_DEVICE_NONE), "");
	assert_int_equal(trace_file_find_device(&file, "none"), TRACE_DEVICE_NONE);
	trace_file_free(&file);
}

static void sums_and_filters(void **state)
{
	const struct trace_exit *slowest[2];
	struct trace_sums *sums;
	struct trace_view view;

	(void)state;
	make_small();
	assert_int_equal(parse(), 0);
	trace_view_init(&view, &file);
	assert_int_equal(trace_sums_make(&sums, &view), 0);
	assert_int_equal(sums->exits, 5);
	assert_int_equal(sums->irqs, 1);
	assert_int_equal(sums->marks, 1);
	assert_int_equal(sums->took_ns, 1170);
	assert_int_equal(sums->cpu_exits[1], 1);
	assert_int_equal(sums->tally_count, 4);
	assert_int_equal(sums->tallies[0].exits, 2);
	assert_int_equal(sums->tallies[0].longest_ns, 700);
	trace_sums_free(sums);
	assert_int_equal(trace_view_slowest(&view, slowest, 2), 2);
	assert_int_equal(slowest[0]->took_ns, 700);
	assert_int_equal(slowest[1]->took_ns, 300);
	assert_int_equal(trace_view_slowest(&view, slowest, 0), 0);

	view = (struct trace_view){.file = &file, .cpu = 0, .device = 0, .to_ns = 2000};
	assert_int_equal(trace_sums_make(&sums, &view), 0);
	assert_int_equal(sums->exits, 1);
	assert_int_equal(sums->irqs, 0);
	trace_sums_free(sums);
	trace_file_free(&file);
}

static char *text_of(bool as_list)
{
	struct trace_view view;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	trace_view_init(&view, &file);
	if (as_list)
		trace_text_list(&view, out);
	else
		assert_int_equal(trace_text_print(&view, 3, out), 0);
	fclose(out);
	return text;
}

static void texts_say_what_happened(void **state)
{
	static const char *const said[] = {"a small one\n", "5 exits", "1 interrupt,",
		"port write   serial0", "vcpu1", "The guest's marks", "The slowest exits"};
	static const char *const listed[] = {"port write 0x3f8, 1 byte, 0x41 at RIP 0x1000 serial0",
		"interrupt 4 pulse by serial0", "the guest's mark 65", "the machine has ended"};
	char *text;

	(void)state;
	make_small();
	assert_int_equal(parse(), 0);
	text = text_of(false);
	for (size_t i = 0; i < ARRAY_SIZE(said); i++)
		if (!strstr(text, said[i]))
			fail_msg("no '%s' in:\n%s", said[i], text);
	free(text);
	text = text_of(true);
	for (size_t i = 0; i < ARRAY_SIZE(listed); i++)
		if (!strstr(text, listed[i]))
			fail_msg("no '%s' in:\n%s", listed[i], text);
	free(text);
	trace_file_free(&file);
}

static void nothing_happened(void **state)
{
	char *text;

	(void)state;
	fake_trace_begin(&made, 1);
	assert_int_equal(parse(), 0);
	assert_int_equal(file.event_count, 0);
	assert_false(file.has_ended || file.is_cut);
	text = text_of(false);
	assert_non_null(strstr(text, "0 exits"));
	assert_non_null(strstr(text, "has no end"));
	free(text);
	trace_file_free(&file);
}

/* ---- What can't be ---- */

static void headers_that_can_not_be(void **state)
{
	struct trace_header *header = (struct trace_header *)(void *)made.bytes;

	(void)state;
	make_small();
	made.count = sizeof(*header) - 1;
	refused("is no trace");
	make_small();
	made.bytes[0] = 'V';
	refused("is no trace");
	make_small();
	header->version++;
	refused("of format 2");
	make_small();
	header->header_bytes = (uint32_t)made.count + 8;
	refused("damaged");
	make_small();
	header->header_bytes = 36;
	refused("damaged");
	make_small();
	header->cpus = 0;
	refused("damaged");
	make_small();
	header->cpus = TRACE_CPUS_MAX + 1;
	refused("damaged");
}

static void longer_headers_are_skipped(void **state)
{
	struct trace_header *header = (struct trace_header *)(void *)made.bytes;

	(void)state;
	fake_trace_begin(&made, 1);
	made.count += 16;
	header->header_bytes += 16;
	fake_trace_add_moment(&made, TRACE_END, 7);
	assert_int_equal(parse(), 0);
	assert_int_equal(file.end_ns, 7);
	trace_file_free(&file);
}

static void lengths_that_can_not_be(void **state)
{
	static const uint32_t lengths[] = {0, 7, TRACE_RECORD_BYTES_MAX + 1, UINT32_MAX};
	struct trace_record *record =
		(struct trace_record *)(void *)(made.bytes + sizeof(struct trace_header));

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		fake_trace_begin(&made, 1);
		fake_trace_add_moment(&made, TRACE_RESET, 1);
		record->bytes = lengths[i];
		refused("damaged at byte 40: a record of a length that can't be");
	}
	for (unsigned type = TRACE_DEVICE; type <= TRACE_TAPE; type++) {
		fake_trace_begin(&made, 1);
		fake_trace_add(&made, (uint8_t)type, 0, &(struct trace_record){0}, 8);
		refused("too short");
	}
	fake_trace_begin(&made, 1);
	fake_trace_add(&made, TRACE_FACT, 0, &(struct trace_record){0}, 8);
	refused("a fact without a name");
}

static void every_cut_is_fine(void **state)
{
	size_t whole;

	(void)state;
	make_small();
	whole = made.count;
	for (made.count = sizeof(struct trace_header); made.count < whole; made.count++) {
		assert_int_equal(parse(), 0);
		assert_false(file.has_ended);
		trace_file_free(&file);
	}
}

static void numbers_that_can_not_be(void **state)
{
	struct trace_exit exit = {.time_ns = 1, .device = 9, .reason = 200, .size = 255};
	struct trace_irq irq = {.time_ns = 2, .device = 1, .what = 99};
	struct trace_kick kick = {.time_ns = 3, .device = TRACE_DEVICE_NONE, .queue = UINT16_MAX};
	const struct trace_exit *taken;
	char *text;

	(void)state;
	fake_trace_begin(&made, 1);
	fake_trace_add_device(&made, 0, "a", "b");
	fake_trace_add_device(&made, 2, "c", "d");
	fake_trace_add(&made, TRACE_EXIT, 77, &exit, sizeof(exit));
	fake_trace_add(&made, TRACE_IRQ, 1, &irq, sizeof(irq));
	fake_trace_add(&made, TRACE_KICK, 1, &kick, sizeof(kick));
	fake_trace_add(&made, 99, 0, &kick, sizeof(kick));
	assert_int_equal(parse(), 0);
	assert_int_equal(file.unknown, 1);
	taken = (const struct trace_exit *)file.events[0];
	assert_int_equal(taken->device, TRACE_DEVICE_NONE);
	assert_int_equal(taken->reason, TRACE_OTHER);
	assert_int_equal(taken->size, 8);
	assert_int_equal(taken->record.source, TRACE_SOURCE_HOST);
	assert_int_equal(trace_event_device(file.events[1]), TRACE_DEVICE_NONE);
	text = text_of(true);
	free(text);
	text = text_of(false);
	free(text);
	trace_file_free(&file);

	fake_trace_begin(&made, 1);
	fake_trace_add_moment(&made, TRACE_END, UINT64_MAX / 2);
	refused("a time that can't be");
}

static void recordings_that_can_not_be(void **state)
{
	struct trace_tape tape = {.seq = 2, .device = 0, .size = 1};

	(void)state;
	fake_trace_begin(&made, 1);
	fake_trace_add_device(&made, 0, "a", "b");
	fake_trace_add(&made, TRACE_TAPE, 0, &tape, sizeof(tape) - 1);
	refused("too short");
	fake_trace_begin(&made, 1);
	fake_trace_add(&made, TRACE_TAPE, 0, &tape, sizeof(tape));
	refused("of no device");
	fake_trace_begin(&made, 1);
	fake_trace_add_device(&made, 0, "a", "b");
	tape.size = 3;
	fake_trace_add(&made, TRACE_TAPE, 0, &tape, sizeof(tape));
	refused("a size that can't be");

	/* A reset is of no device, a later kind is skipped, and the order is that of the numbers. */
	fake_trace_begin(&made, 1);
	fake_trace_add_device(&made, 0, "a", "b");
	tape.size = 8;
	fake_trace_add(&made, TRACE_TAPE, 0, &tape, sizeof(tape));
	tape = (struct trace_tape){.seq = 1, .device = TRACE_DEVICE_NONE, .kind = TRACE_TAPE_RESET};
	fake_trace_add(&made, TRACE_TAPE, 0, &tape, sizeof(tape));
	tape.kind = TRACE_TAPE_KINDS;
	fake_trace_add(&made, TRACE_TAPE, 0, &tape, sizeof(tape));
	assert_int_equal(parse(), 0);
	assert_int_equal(file.tape_count, 2);
	assert_int_equal(file.tape[0]->kind, TRACE_TAPE_RESET);
	assert_int_equal(file.unknown, 1);
	trace_file_free(&file);
}

static void too_many_of_anything(void **state)
{
	(void)state;
	fake_trace_begin(&made, 1);
	for (int i = 0; i <= TRACE_FACTS_MAX; i++)
		fake_trace_add_fact(&made, "a=b");
	refused("more facts");
	fake_trace_begin(&made, 1);
	fake_trace_add_device(&made, TRACE_DEVICES_MAX, "a", "b");
	refused("more devices");
	fake_trace_begin(&made, 1);
	fake_trace_add_device(&made, 5, "a", "b");
	fake_trace_add_device(&made, 5, "a", "b");
	refused("two devices of one number");
}

static void devices_with_more_resources_than_bytes(void **state)
{
	struct trace_device device = {.number = 0, .res_count = 1};

	(void)state;
	fake_trace_begin(&made, 1);
	fake_trace_add(&made, TRACE_DEVICE, 0, &device, sizeof(device));
	refused("a device that is too short");
}

static void texts_are_made_printable(void **state)
{
	struct trace_device device = {.number = 0};

	(void)state;
	memset(device.name, 0x1b, sizeof(device.name));
	memset(device.class_name, 0xff, sizeof(device.class_name));
	fake_trace_begin(&made, 1);
	fake_trace_add(&made, TRACE_DEVICE, 0, &device, sizeof(device));
	fake_trace_add_fact(&made, "key=\033[2J");
	assert_int_equal(parse(), 0);
	assert_int_equal(strlen(trace_file_device_name(&file, 0)), TRACE_NAME_BYTES - 1);
	assert_int_equal(trace_file_device_name(&file, 0)[0], '?');
	assert_string_equal(trace_file_fact(&file, "key"), "?[2J");
	trace_file_free(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_come_in_order_of_time),
		cmocka_unit_test(sums_and_filters),
		cmocka_unit_test(texts_say_what_happened),
		cmocka_unit_test(nothing_happened),
		cmocka_unit_test(headers_that_can_not_be),
		cmocka_unit_test(longer_headers_are_skipped),
		cmocka_unit_test(lengths_that_can_not_be),
		cmocka_unit_test(every_cut_is_fine),
		cmocka_unit_test(numbers_that_can_not_be),
		cmocka_unit_test(recordings_that_can_not_be),
		cmocka_unit_test(too_many_of_anything),
		cmocka_unit_test(devices_with_more_resources_than_bytes),
		cmocka_unit_test(texts_are_made_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
