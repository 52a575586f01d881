/*
 * gdb: the debugger's door: sockets, clients that stop reading, come twice, or vanish.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/backend/unix_listen.h"
#include "tests/fake/fake_debugged.h"
#include "vmm/gdb.h"

static struct fake_debugged fake;
static struct loop *loop;
static struct gdb *gdb;
static char dir[] = "/tmp/test_gdb.XXXXXX";
static struct gdb_config config;

static int setup(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(config.address.path, sizeof(config.address.path), "%s/s", dir);
	fake_debugged_init(&fake, 2);
	assert_int_equal(loop_create(&loop, &err), 0);
	if (gdb_start(&gdb, loop, &config, &fake.target, &err) < 0)
		fail_msg("%s", err.text);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	gdb_stop(gdb);
	assert_int_not_equal(access(config.address.path, F_OK), 0);
	loop_destroy(loop);
	fake_debugged_finish(&fake);
	assert_int_equal(rmdir(dir), 0);
	return 0;
}

static void run_loop(void)
{
	for (int i = 0; i < 20; i++)
		loop_run_once(loop, 0);
}

static int connect_to_it(void)
{
	struct unix_listen self;
	int fd;

	assert_int_equal(unix_listen_init(&self, "test", config.address.path, 0, NULL), 0);
	fd = unix_listen_connect(&self.address);
	assert_true(fd >= 0);
	run_loop();
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	run_loop();
}

static void expect(int fd, const char *text)
{
	char got[4096];
	ssize_t n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);

	assert_true(n >= 0);
	got[n] = '\0';
	assert_string_equal(got, text);
}

static void expect_end(int fd)
{
	char got[64];

	assert_int_equal(recv(fd, got, sizeof(got), MSG_DONTWAIT), 0);
	close(fd);
}

static void a_client_stops_the_machine(void **state)
{
	struct stat info;
	int fd;

	(void)state;
	assert_int_equal(stat(config.address.path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
	assert_null(gdb_session(gdb));
	assert_true(fake.runs);
	fd = connect_to_it();
	assert_false(fake.runs);
	assert_non_null(gdb_session(gdb));
	say(fd, "+$qC#b4");
	expect(fd, "+$QC1#c5");
	say(fd, "$qC#b4$qAttached#8f");
	expect(fd, "+$QC1#c5+$1#31");
	say(fd, "$D#44");
	expect(fd, "+$OK#9a");
	expect_end(fd);
	assert_true(fake.runs);
	assert_null(gdb_session(gdb));
}

static void a_client_that_vanishes_leaves_nothing(void **state)
{
	uint8_t byte = 0x90;
	int fd = connect_to_it();

	(void)state;
	gmem_write(&fake.mem, 0x20000, &byte, 1);
	say(fd, "$Z0,20000,1#05");
	gmem_read(&fake.mem, 0x20000, &byte, 1);
	assert_int_equal(byte, 0xcc);
	close(fd);
	run_loop();
	gmem_read(&fake.mem, 0x20000, &byte, 1);
	assert_int_equal(byte, 0x90);
	assert_true(fake.runs);
	fd = connect_to_it();
	assert_false(fake.runs);
	say(fd, "$?#3f");
	expect(fd, "+$T05thread:1;#d7");
	close(fd);
	run_loop();
}

static void a_second_client_is_turned_away(void **state)
{
	int first = connect_to_it(), second = connect_to_it();

	(void)state;
	expect_end(second);
	say(first, "$qC#b4");
	expect(first, "+$QC1#c5");
	close(first);
	run_loop();
}

static void strangers_are_cut_off(void **state)
{
	int fd = connect_to_it();

	(void)state;
	assert_true(send(fd, "POST / HTTP/1.1\r\n\r\n$k#6b", 25, MSG_NOSIGNAL) == 25);
	run_loop();
	close(fd);
	assert_int_equal(fake.kills, 0);
	assert_true(fake.runs);
	assert_null(gdb_session(gdb));
}

/* Requests for much without end, and nothing is read: the stub reads no more, and waits for nobody. */
static void never_reads(void **state)
{
	static const char request[] = "$m0,fa0#8f";
	int fd = connect_to_it();
	size_t sent = 0, last;

	(void)state;
	do {
		last = sent;
		for (int i = 0; i < 100000; i++) {
			if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) !=
				sizeof(request) - 1)
				break;
			sent++;
		}
		run_loop();
	} while (sent != last);
	assert_true(gdb_session(gdb)->out.len <= GDB_OUT_MAX);
	assert_false(loop_run_once(loop, 0) && gdb_session(gdb)->out.len == 0);
	/* An event of the machine does not make it more. */
	gdb_session_note_stop(gdb_session(gdb), 0, GDB_SIGNAL_SEGV, "text\n");
	gdb_flush(gdb);
	close(fd);
	run_loop();
	assert_null(gdb_session(gdb));
	assert_true(fake.runs);
}

static void stops_go_out_by_themselves(void **state)
{
	int fd = connect_to_it();

	(void)state;
	say(fd, "$vCont;c#a8");
	expect(fd, "+");
	fake.stops[1].kind = VCPU_STOP_BREAK;
	gdb_session_look(gdb_session(gdb));
	gdb_flush(gdb);
	expect(fd, "$T05thread:2;#d8");
	say(fd, "+$vCont;c#a8");
	gdb_session_note_exit(gdb_session(gdb), 3);
	gdb_flush(gdb);
	expect(fd, "+$W03#ba");
	expect_end(fd);
}

static void places_that_are_taken(void **state)
{
	struct err err = ERR_INIT;
	struct gdb *second;

	(void)state;
	assert_int_equal(gdb_start(&second, loop, &config, &fake.target, &err), -EADDRINUSE);
	assert_null(second);
	assert_true(err_is_set(&err));
	gdb_stop(second);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_client_stops_the_machine),
		TEST(a_client_that_vanishes_leaves_nothing),
		TEST(a_second_client_is_turned_away),
		TEST(strangers_are_cut_off),
		TEST(never_reads),
		TEST(stops_go_out_by_themselves),
		TEST(places_that_are_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
