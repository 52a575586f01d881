/*
 * panic_watch: what a guest prints decides whether its reset was a panic.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "vmm/panic_watch.h"

#define PANIC "Kernel panic - not syncing: "

static void feed(struct panic_watch *watch, const char *text)
{
	panic_watch_feed(watch, text, strlen(text));
}

static void test_reason_is_taken_from_the_first_panic_line(void **state)
{
	struct panic_watch watch = {0};

	(void)state;
	feed(&watch, "booting\r\n[    0.1] " PANIC "VFS: Unable to mount root fs\r\n");
	feed(&watch, "Call Trace:\r\n---[ end " PANIC "other ]---\r\n");
	assert_string_equal(panic_watch_reason(&watch), "VFS: Unable to mount root fs");
}

static void test_line_may_arrive_byte_by_byte(void **state)
{
	static const char line[] = PANIC "Attempted to kill init! exitcode=0x00000100\n";
	struct panic_watch watch = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(line) - 1; i++) {
		assert_null(panic_watch_reason(&watch));
		panic_watch_feed(&watch, line + i, 1);
	}
	assert_string_equal(
		panic_watch_reason(&watch), "Attempted to kill init! exitcode=0x00000100");
}

static void test_old_panic_words_do_not_count(void **state)
{
	struct panic_watch watch = {0};

	(void)state;
	feed(&watch, "a user prints: " PANIC "no\n");
	for (int i = 0; i < PANIC_WATCH_LINES; i++)
		feed(&watch, "later\n");
	assert_non_null(panic_watch_reason(&watch));
	feed(&watch, "later\n");
	assert_null(panic_watch_reason(&watch));
}

static void test_endless_line_and_zero_bytes_are_harmless(void **state)
{
	struct panic_watch watch = {0};
	char flood[1000];

	(void)state;
	memset(flood, 'x', sizeof(flood));
	for (int i = 0; i < 100; i++)
		panic_watch_feed(&watch, flood, sizeof(flood));
	panic_watch_feed(&watch, "\0\0\0", 3);
	feed(&watch, "\n" PANIC "y\n");
	assert_string_equal(panic_watch_reason(&watch), "y");
	panic_watch_reset(&watch);
	assert_null(panic_watch_reason(&watch));
}

static const char *hint(
	const char *reason, bool has_disk, bool has_initrd, enum guest_driver driver)
{
	static char text[300];
	bool known = panic_watch_hint(reason, has_disk, has_initrd, driver, text, sizeof(text));

	assert_int_equal(known, text[0] != '\0');
	return text;
}

static void test_hint_fits_what_the_machine_was_given(void **state)
{
	const char *reason = "VFS: Unable to mount root fs on unknown-block(0,0)";
	const enum guest_driver ready = GUEST_DRIVER_READY;

	(void)state;
	assert_non_null(strstr(hint(reason, false, false, ready), "--disk"));
	assert_non_null(strstr(hint(reason, false, true, ready), "/init"));
	assert_non_null(strstr(hint("Out of memory: x", true, true, ready), "--memory"));
	assert_string_equal(
		hint("stack-protector: Kernel stack is corrupted", true, true, ready), "");
}

static void test_hint_names_the_driver_that_is_missing(void **state)
{
	const char *reason = "VFS: Unable to mount root fs on unknown-block(0,0)";

	(void)state;
	assert_non_null(strstr(hint(reason, true, false, GUEST_DRIVER_NO_BUS),
		"CONFIG_VIRTIO_MMIO and CONFIG_VIRTIO_BLK"));
	assert_non_null(
		strstr(hint(reason, true, false, GUEST_DRIVER_NONE), "needs CONFIG_VIRTIO_BLK"));
	assert_non_null(strstr(hint(reason, true, false, GUEST_DRIVER_STARTING), "has begun"));
	assert_non_null(strstr(hint(reason, true, false, GUEST_DRIVER_READY), "root="));
	assert_int_equal(guest_driver_of_status(0), GUEST_DRIVER_NO_BUS);
	assert_int_equal(guest_driver_of_status(1), GUEST_DRIVER_NONE);
	assert_int_equal(guest_driver_of_status(3), GUEST_DRIVER_STARTING);
	assert_int_equal(guest_driver_of_status(0x83), GUEST_DRIVER_STARTING);
	assert_int_equal(guest_driver_of_status(0xf), GUEST_DRIVER_READY);
}

static void test_last_line_is_the_one_being_printed(void **state)
{
	struct panic_watch watch = {0};

	(void)state;
	assert_string_equal(panic_watch_last_line(&watch), "");
	feed(&watch, "Waiting for root device /dev/vda...\r\n");
	assert_string_equal(panic_watch_last_line(&watch), "Waiting for root device /dev/vda...");
	feed(&watch, "\r\nlog");
	assert_string_equal(panic_watch_last_line(&watch), "log");
	feed(&watch, "in: ");
	assert_string_equal(panic_watch_last_line(&watch), "login: ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reason_is_taken_from_the_first_panic_line),
		cmocka_unit_test(test_line_may_arrive_byte_by_byte),
		cmocka_unit_test(test_old_panic_words_do_not_count),
		cmocka_unit_test(test_endless_line_and_zero_bytes_are_harmless),
		cmocka_unit_test(test_hint_fits_what_the_machine_was_given),
		cmocka_unit_test(test_hint_names_the_driver_that_is_missing),
		cmocka_unit_test(test_last_line_is_the_one_being_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
