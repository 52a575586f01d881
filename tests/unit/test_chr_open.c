/*
 * Opening a console by its name: what is accepted, what each mistake says; and the
 * simple kinds: file, pipe, null.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/backend/chr.h"

static struct loop *loop;
static char dir[] = "/tmp/vmm-chr-open-XXXXXX";

/* Input for a front end without limits */
static char got[100];
static size_t got_len;

static size_t can_take(void *opaque)
{
	(void)opaque;
	return sizeof(got) - 1 - got_len;
}

static void take(void *opaque, const uint8_t *data, size_t len)
{
	(void)opaque;
	memcpy(got + got_len, data, len);
	got_len += len;
	got[got_len] = 0;
}

static struct chr_front front = {.can_take = can_take, .input = take};

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/vmm-chr-open-XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(loop_create(&loop, NULL), 0);
	got_len = 0;
	got[0] = 0;
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

static int teardown(void **state)
{
	char command[100];

	(void)state;
	loop_destroy(loop);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static const char *in_dir(const char *kind, const char *name)
{
	static char text[200];

	snprintf(text, sizeof(text), "%s%s/%s", kind, dir, name);
	return text;
}

static void assert_file_holds(const char *name, const char *expected)
{
	char text[200] = "";
	int fd = open(in_dir("", name), O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, text, sizeof(text) - 1), strlen(expected));
	assert_string_equal(text, expected);
	close(fd);
}

static void put(struct chr *chr, const char *text)
{
	assert_int_equal(chr_write(chr, text, strlen(text)), strlen(text));
}

/* ---- Names and mistakes ---- */

static void test_mistakes(void **state)
{
	static const struct {
		const char *spec;
		enum exit_code kind;
		const char *text, *hint;
	} cases[] = {
		{"", EXIT_CODE_USAGE, "stdio|pty|file:PATH|unix:PATH|pipe:PATH|null|none", ""},
		{"stdoi", EXIT_CODE_USAGE, "\"stdoi\"", "did you mean stdio?"},
		{"fil:/tmp/x", EXIT_CODE_USAGE, "there are", "did you mean file:PATH?"},
		{"File:/tmp/x", EXIT_CODE_USAGE, "there are", "did you mean file:PATH?"},
		{"something-else", EXIT_CODE_USAGE, "there are", ""},
		{"averyveryverylongnameindeed:x", EXIT_CODE_USAGE, "there are", ""},
		{"file", EXIT_CODE_USAGE, "needs a name", "file:PATH"},
		{"file:", EXIT_CODE_USAGE, "needs a name", "file:PATH"},
		{"unix", EXIT_CODE_USAGE, "needs a name", "unix:PATH"},
		{"stdio:x", EXIT_CODE_USAGE, "takes no name", ""},
		{"none:", EXIT_CODE_USAGE, "takes no name", ""},
		{"file:/", EXIT_CODE_DEVICE, "Is a directory", ""},
		{"file:/nonexistent/dir/log", EXIT_CODE_DEVICE, "No such file", ""},
		{"unix:/nonexistent/dir/s", EXIT_CODE_DEVICE, "No such file", ""},
		{"unix:/", EXIT_CODE_DEVICE, "not a socket", "another name"},
		{"pipe:/nonexistent", EXIT_CODE_DEVICE, "neither /nonexistent.in nor",
			"mkfifo /nonexistent.in /nonexistent.out"},
		{"pipe:/dev/null", EXIT_CODE_DEVICE, "not a FIFO", "file:PATH"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = ERR_INIT;
		struct chr *chr = (struct chr *)&err;

		assert_true(chr_open(&chr, cases[i].spec, loop, &err) < 0);
		assert_null(chr);
		assert_int_equal(err.kind, cases[i].kind);
		if (!strstr(err.text, cases[i].text))
			fail_msg("%s: \"%s\" lacks \"%s\"", cases[i].spec, err.text, cases[i].text);
		if (!strstr(err.hint, cases[i].hint))
			fail_msg("%s: \"%s\" lacks \"%s\"", cases[i].spec, err.hint, cases[i].hint);
	}
}

static void test_name_too_long(void **state)
{
	char spec[6000];
	struct chr *chr;
	struct err err = ERR_INIT;

	(void)state;
	memset(spec, 'x', sizeof(spec));
	spec[sizeof(spec) - 1] = 0;
	memcpy(spec, "unix:", 5);
	assert_int_equal(chr_open(&chr, spec, loop, &err), -ENAMETOOLONG);
	assert_non_null(strstr(err.text, "at most 107 bytes"));
	memcpy(spec, "pipe:", 5);
	assert_int_equal(chr_open(&chr, spec, loop, NULL), -ENAMETOOLONG);
	memcpy(spec, "file:", 5);
	assert_int_equal(chr_open(&chr, spec, loop, NULL), -ENAMETOOLONG);
}

static void test_none_is_nothing(void **state)
{
	struct chr *chr = (struct chr *)&loop;

	(void)state;
	assert_int_equal(chr_open(&chr, "none", loop, NULL), 0);
	assert_null(chr);
	chr_close(chr);
}

static void test_null_takes_everything(void **state)
{
	struct chr *chr;
	struct chr_stats stats;

	(void)state;
	assert_int_equal(chr_open(&chr, "null", loop, NULL), 0);
	for (int i = 0; i < 30000; i++)
		put(chr, "into the void\n");
	chr_get_stats(chr, &stats);
	assert_int_equal(stats.output_bytes, 30000 * 14);
	assert_int_equal(stats.lost_bytes, 0);
	assert_false(chr_is_terminal(chr));
	chr_close(chr);
}

/* ---- file ---- */

static void test_file_is_emptied_and_written(void **state)
{
	struct chr *chr;

	(void)state;
	for (int run = 0; run < 2; run++) {
		assert_int_equal(chr_open(&chr, in_dir("file:", "log"), loop, NULL), 0);
		put(chr, run ? "second\n" : "the first run\n");
		/* Written with the end of the line. */
		assert_file_holds("log", run ? "second\n" : "the first run\n");
		chr_close(chr);
	}
	assert_file_holds("log", "second\n");
}

/* A disk image that a machine uses is held by this lock. */
static void test_file_in_use_is_not_emptied(void **state)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	struct err err = ERR_INIT;
	struct chr *chr = NULL;
	int fd = open(in_dir("", "disk.img"), O_RDWR | O_CREAT, 0600);

	(void)state;
	assert_int_equal(write(fd, "data", 4), 4);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	assert_int_equal(chr_open(&chr, in_dir("file:", "disk.img"), loop, &err), -EBUSY);
	assert_null(chr);
	assert_non_null(strstr(err.text, "a running machine uses that file"));
	assert_file_holds("disk.img", "data");
	close(fd);
}

static void test_full_disk_is_told_once(void **state)
{
	struct chr *chr;
	struct chr_stats stats;

	(void)state;
	assert_int_equal(chr_open(&chr, "file:/dev/full", loop, NULL), 0);
	put(chr, "one line\n");
	put(chr, "another\n");
	chr_get_stats(chr, &stats);
	assert_int_equal(stats.lost_bytes, 17);
	assert_int_equal(chr_room(chr), CHR_OUTPUT_BYTES);
	chr_close(chr);
}

static void test_file_may_be_a_device(void **state)
{
	struct chr *chr;

	(void)state;
	assert_int_equal(chr_open(&chr, "file:/dev/null", loop, NULL), 0);
	put(chr, "gone\n");
	chr_close(chr);
}

static void test_file_on_a_fifo_needs_a_reader(void **state)
{
	struct err err = ERR_INIT;
	struct chr *chr;
	char text[20] = "";
	int fd;

	(void)state;
	assert_int_equal(mkfifo(in_dir("", "fifo"), 0600), 0);
	assert_int_equal(chr_open(&chr, in_dir("file:", "fifo"), loop, &err), -ENXIO);
	assert_non_null(strstr(err.hint, "pipe:"));
	fd = open(in_dir("", "fifo"), O_RDONLY | O_NONBLOCK);
	assert_int_equal(chr_open(&chr, in_dir("file:", "fifo"), loop, NULL), 0);
	put(chr, "read me\n");
	assert_int_equal(read(fd, text, sizeof(text)), 8);
	/* The reader goes: output is lost, and said to be. */
	close(fd);
	put(chr, "nobody\n");
	chr_close(chr);
}

/* ---- pipe ---- */

static void test_pair_of_fifos(void **state)
{
	struct chr *chr;
	char text[20] = "";
	int in, out;

	(void)state;
	assert_int_equal(mkfifo(in_dir("", "p.in"), 0600), 0);
	assert_int_equal(mkfifo(in_dir("", "p.out"), 0600), 0);
	assert_int_equal(chr_open(&chr, in_dir("pipe:", "p"), loop, NULL), 0);
	assert_int_equal(chr_attach(chr, &front, NULL), 0);
	/* Nobody is there yet, and nothing waits. */
	put(chr, "early\n");
	out = open(in_dir("", "p.out"), O_RDONLY);
	in = open(in_dir("", "p.in"), O_WRONLY);
	assert_int_equal(read(out, text, sizeof(text)), 6);
	assert_string_equal(text, "early\n");
	assert_int_equal(write(in, "typed", 5), 5);
	while (got_len < 5)
		assert_true(loop_run_once(loop, 1000));
	assert_string_equal(got, "typed");
	/* A writer may go and another come. */
	close(in);
	in = open(in_dir("", "p.in"), O_WRONLY);
	assert_int_equal(write(in, "!", 1), 1);
	while (got_len < 6)
		assert_true(loop_run_once(loop, 1000));
	close(in);
	chr_detach(chr, &front);
	chr_close(chr);
	close(out);
}

static void test_one_fifo_is_output(void **state)
{
	struct chr *chr;
	char text[20] = "";
	int out;

	(void)state;
	assert_int_equal(mkfifo(in_dir("", "one"), 0600), 0);
	assert_int_equal(chr_open(&chr, in_dir("pipe:", "one"), loop, NULL), 0);
	assert_int_equal(chr_attach(chr, &front, NULL), 0);
	out = open(in_dir("", "one"), O_RDONLY | O_NONBLOCK);
	put(chr, "no echo\n");
	for (int i = 0; i < 4; i++)
		loop_run_once(loop, 0);
	assert_int_equal(got_len, 0);
	assert_int_equal(read(out, text, sizeof(text)), 8);
	chr_detach(chr, &front);
	chr_close(chr);
	close(out);
}

static void test_other_file_is_no_fifo(void **state)
{
	struct err err = ERR_INIT;
	struct chr *chr;

	(void)state;
	close(open(in_dir("", "plain"), O_CREAT | O_WRONLY, 0600));
	assert_int_equal(chr_open(&chr, in_dir("pipe:", "plain"), loop, &err), -EINVAL);
	assert_int_equal(err.kind, EXIT_CODE_DEVICE);
	assert_non_null(strstr(err.text, "not a FIFO"));
	assert_non_null(strstr(err.hint, "file:PATH"));
}

static void test_half_a_pair_is_told(void **state)
{
	struct err err = ERR_INIT;
	struct chr *chr;

	(void)state;
	assert_int_equal(mkfifo(in_dir("", "h.in"), 0600), 0);
	assert_int_equal(chr_open(&chr, in_dir("pipe:", "h"), loop, &err), -ENOENT);
	assert_non_null(strstr(err.text, "but no"));
	assert_non_null(strstr(err.hint, "mkfifo"));
}

static void test_unread_fifo_holds_output_back(void **state)
{
	char block[4096], *back = malloc(sizeof(block));
	struct chr *chr;
	size_t written = 0, n, read_back = 0;
	int out;

	(void)state;
	memset(block, 'f', sizeof(block));
	assert_int_equal(mkfifo(in_dir("", "slow"), 0600), 0);
	assert_int_equal(chr_open(&chr, in_dir("pipe:", "slow"), loop, NULL), 0);
	out = open(in_dir("", "slow"), O_RDONLY | O_NONBLOCK);
	while ((n = chr_write(chr, block, sizeof(block))) > 0)
		written += n;
	/* The pipe and the ring are full, and every byte is still there. */
	assert_true(written >= CHR_OUTPUT_BYTES);
	while (read_back < written) {
		ssize_t got_now = read(out, back, sizeof(block));

		if (got_now > 0)
			read_back += (size_t)got_now;
		else
			assert_true(loop_run_once(loop, 1000));
	}
	assert_int_equal(read_back, written);
	assert_int_equal(chr_room(chr), CHR_OUTPUT_BYTES);
	chr_close(chr);
	close(out);
	free(back);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(mistakes),
		TEST(name_too_long),
		TEST(none_is_nothing),
		TEST(null_takes_everything),
		TEST(file_is_emptied_and_written),
		TEST(file_in_use_is_not_emptied),
		TEST(full_disk_is_told_once),
		TEST(file_may_be_a_device),
		TEST(file_on_a_fifo_needs_a_reader),
		TEST(pair_of_fifos),
		TEST(one_fifo_is_output),
		TEST(other_file_is_no_fifo),
		TEST(half_a_pair_is_told),
		TEST(unread_fifo_holds_output_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
