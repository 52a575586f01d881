/*
 * The folder of running machines: where it is, who may have one, names taken and given back,
 * left-overs of dead processes, and several processes that want one name.
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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/runtime_dir.h"

static char root[] = "/tmp/vmm-test-XXXXXX";
static char path[RUNTIME_PATH_MAX];

static int setup(void **state)
{
	(void)state;
	strcpy(root + strlen(root) - 6, "XXXXXX");
	assert_non_null(mkdtemp(root));
	assert_int_equal(setenv("XDG_RUNTIME_DIR", root, 1), 0);
	return 0;
}

static int teardown(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	return system(command);
}

/* A path in the folder of machines, "" for itself. */
static const char *in_folder(const char *file)
{
	snprintf(path, sizeof(path), "%s/vmm%s%s", root, *file ? "/" : "", file);
	return path;
}

static unsigned mode_of(const char *file)
{
	struct stat st;

	assert_int_equal(lstat(in_folder(file), &st), 0);
	return st.st_mode & 07777;
}

static bool exists(const char *file)
{
	struct stat st;

	return lstat(in_folder(file), &st) == 0;
}

static int claim(struct runtime_name *name, const char *wanted)
{
	struct err err = ERR_INIT;

	return runtime_name_claim(name, wanted, &err);
}

static void test_modes(void **state)
{
	struct runtime_name web;
	mode_t before = umask(0);

	(void)state;
	assert_int_equal(claim(&web, "web"), 0);
	umask(before);
	assert_int_equal(mode_of(""), 0700);
	assert_int_equal(mode_of("web.sock"), 0600);
	assert_int_equal(mode_of("web.lock"), 0600);
	runtime_name_release(&web);
	assert_false(exists("web.sock"));
	assert_false(exists("web.lock"));
	runtime_name_release(&web);
}

static void test_names_are_chosen_in_turn(void **state)
{
	struct runtime_name a, b, c;

	(void)state;
	assert_int_equal(claim(&a, NULL), 0);
	assert_string_equal(a.name, "vmm");
	assert_int_equal(claim(&b, NULL), 0);
	assert_string_equal(b.name, "vmm2");
	runtime_name_release(&a);
	assert_int_equal(claim(&c, NULL), 0);
	assert_string_equal(c.name, "vmm");
	runtime_name_release(&c);
	runtime_name_release(&b);
}

static void test_a_taken_name_is_refused_with_the_process(void **state)
{
	struct err err = ERR_INIT;
	struct runtime_name first, second;
	char pid[20];

	(void)state;
	assert_int_equal(claim(&first, "web"), 0);
	assert_int_equal(runtime_name_claim(&second, "web", &err), -EADDRINUSE);
	snprintf(pid, sizeof(pid), "process %d", (int)getpid());
	assert_non_null(strstr(err.text, "web"));
	assert_non_null(strstr(err.text, pid));
	assert_int_equal(err.kind, EXIT_CODE_DEVICE);
	runtime_name_release(&second);
	/* The refusal has taken nothing from who was there first. */
	assert_true(exists("web.sock"));
	runtime_name_release(&first);
}

static void wait_for_child(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
}

/* A process that takes `name` and is killed. */
static void leave_over(const char *name)
{
	int ready[2];
	char byte;
	pid_t child;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		static struct runtime_name held;

		if (runtime_name_claim(&held, name, NULL) == 0 && write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	kill(child, SIGKILL);
	wait_for_child(child);
	assert_true(child > 0);
}

static void test_what_a_killed_process_left_is_replaced(void **state)
{
	struct runtime_name web;

	(void)state;
	leave_over("web");
	assert_true(exists("web.sock"));
	assert_int_equal(claim(&web, "web"), 0);
	runtime_name_release(&web);
	assert_false(exists("web.sock"));
}

/* Holds the lock of the name vmm as who lists does, and lets it go after `hold_ms`. */
static pid_t lock_for_a_moment(unsigned hold_ms)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = open(in_folder("vmm.lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	pid_t child;

	assert_int_equal(fcntl(fd, F_OFD_SETLK, &whole), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		usleep(hold_ms * 1000);
		unlink(in_folder("vmm.lock"));
		_exit(0);
	}
	close(fd);
	return child;
}

static void test_a_lock_without_a_machine_takes_no_name(void **state)
{
	struct runtime_name vmm;
	pid_t lister;

	(void)state;
	leave_over("vmm");
	lister = lock_for_a_moment(20);
	assert_int_equal(claim(&vmm, NULL), 0);
	assert_string_equal(vmm.name, "vmm");
	wait_for_child(lister);
	assert_true(exists("vmm.sock"));
	runtime_name_release(&vmm);
}

static void test_the_list_shows_the_living_and_removes_the_dead(void **state)
{
	struct runtime_name web, db;
	struct runtime_dir dir;
	size_t count;
	char **names;

	(void)state;
	leave_over("dead");
	assert_int_equal(claim(&web, "web"), 0);
	assert_int_equal(claim(&db, "db"), 0);
	close(open(in_folder("notes.txt"), O_CREAT | O_WRONLY, 0600));
	close(open(in_folder(".lock"), O_CREAT | O_WRONLY, 0600));
	close(open(in_folder("-x.lock"), O_CREAT | O_WRONLY, 0600));
	assert_int_equal(runtime_dir_open(&dir, false, NULL), 0);
	names = runtime_dir_list(&dir, &count);
	assert_int_equal(count, 2);
	assert_string_equal(names[0], "db");
	assert_string_equal(names[1], "web");
	assert_null(names[2]);
	free(names);
	assert_false(exists("dead.sock"));
	assert_false(exists("dead.lock"));
	assert_true(exists("notes.txt"));
	runtime_dir_close(&dir);
	runtime_name_release(&web);
	runtime_name_release(&db);
}

static void test_connecting_tells_the_process(void **state)
{
	struct runtime_name web;
	pid_t pid;
	int fd;

	(void)state;
	assert_int_equal(claim(&web, "web"), 0);
	fd = runtime_dir_connect(&web.dir, "web", &pid);
	assert_true(fd >= 0);
	assert_int_equal(pid, getpid());
	close(fd);
	assert_int_equal(runtime_dir_connect(&web.dir, "other", &pid), -ENOENT);
	runtime_name_release(&web);
}

static void test_a_long_path_works_as_well(void **state)
{
	char deep[300];
	struct runtime_name web;
	pid_t pid;
	int fd;

	(void)state;
	snprintf(deep, sizeof(deep), "%s/%0150d", root, 0);
	assert_int_equal(mkdir(deep, 0700), 0);
	assert_int_equal(setenv("XDG_RUNTIME_DIR", deep, 1), 0);
	assert_int_equal(claim(&web, "web"), 0);
	fd = runtime_dir_connect(&web.dir, "web", &pid);
	assert_true(fd >= 0);
	close(fd);
	runtime_name_release(&web);
}

static int open_folder(bool make, struct err *err)
{
	static struct runtime_dir dir;
	int ret = runtime_dir_open(&dir, make, err);

	runtime_dir_close(&dir);
	return ret;
}

static void test_folders_that_are_not_ours_alone(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(open_folder(false, &err), -ENOENT);
	assert_false(err_is_set(&err));
	assert_int_equal(mkdir(in_folder(""), 0700), 0);
	assert_int_equal(chmod(in_folder(""), 0755), 0);
	assert_int_equal(open_folder(true, &err), -EPERM);
	assert_non_null(strstr(err.text, "0755"));
	assert_int_equal(rmdir(in_folder("")), 0);

	err = (struct err)ERR_INIT;
	assert_int_equal(symlink(root, in_folder("")), 0);
	assert_true(open_folder(true, &err) < 0);
	assert_non_null(strstr(err.text, "no folder"));
	assert_int_equal(unlink(in_folder("")), 0);

	if (geteuid() == 0) {
		err = (struct err)ERR_INIT;
		assert_int_equal(mkdir(in_folder(""), 0700), 0);
		assert_int_equal(chown(in_folder(""), 12345, 12345), 0);
		assert_int_equal(open_folder(true, &err), -EPERM);
		assert_non_null(strstr(err.text, "12345"));
	}
}

/* After sudo the variable may name another user's folder: it is not used, and not filled. */
static void test_anothers_runtime_folder_is_passed_over(void **state)
{
	static struct runtime_dir dir;

	(void)state;
	if (geteuid() != 0) {
		print_message("needs root\n");
		return;
	}
	assert_int_equal(chown(root, 12345, 12345), 0);
	if (runtime_dir_open(&dir, false, NULL) == 0)
		runtime_dir_close(&dir);
	assert_null(strstr(dir.path, root));
	assert_false(exists(""));
	assert_int_equal(setenv("XDG_RUNTIME_DIR", "relative", 1), 0);
	if (runtime_dir_open(&dir, false, NULL) == 0)
		runtime_dir_close(&dir);
	assert_int_equal(dir.path[0], '/');
	assert_int_equal(chown(root, 0, 0), 0);
}

static void test_a_folder_in_the_place_of_the_lock(void **state)
{
	struct runtime_name web;

	(void)state;
	assert_int_equal(mkdir(in_folder(""), 0700), 0);
	assert_int_equal(mkdir(in_folder("web.lock"), 0700), 0);
	assert_true(claim(&web, "web") < 0);
	assert_int_equal(claim(&web, NULL), 0);
	runtime_name_release(&web);
}

enum {
	RACERS = 4,
	ROUNDS = 150
};

/* Takes and gives back one name again and again; says how often somebody else had it, too. */
static int race(void)
{
	static struct runtime_name held;
	struct runtime_dir dir;
	int bad = 0;

	for (int i = 0; i < ROUNDS; i++) {
		int ret = runtime_name_claim(&held, NULL, NULL), fd;
		size_t count;

		if (ret < 0)
			return 100;
		/* Whoever has a name has it alone: this file would be there already. */
		fd = openat(held.dir.fd, held.name, O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		bad += fd < 0;
		if (fd >= 0)
			close(fd);
		if (i % 4 == 0 && runtime_dir_open(&dir, false, NULL) == 0) {
			free(runtime_dir_list(&dir, &count));
			runtime_dir_close(&dir);
		}
		unlinkat(held.dir.fd, held.name, 0);
		runtime_name_release(&held);
	}
	return bad;
}

static void test_processes_that_race_never_share_a_name(void **state)
{
	pid_t children[RACERS];

	(void)state;
	for (int i = 0; i < RACERS; i++) {
		children[i] = fork();
		if (children[i] == 0)
			_exit(race());
	}
	for (int i = 0; i < RACERS; i++) {
		int status;

		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

static void test_legal_names(void **state)
{
	char longest[RUNTIME_NAME_MAX + 2];

	(void)state;
	memset(longest, 'a', sizeof(longest));
	longest[RUNTIME_NAME_MAX + 1] = 0;
	assert_false(runtime_name_is_legal(longest));
	longest[RUNTIME_NAME_MAX] = 0;
	assert_true(runtime_name_is_legal(longest));
	assert_true(runtime_name_is_legal("my-vm_1.0"));
	assert_false(runtime_name_is_legal(""));
	assert_false(runtime_name_is_legal("../x"));
	assert_false(runtime_name_is_legal("a/b"));
	assert_false(runtime_name_is_legal(".a"));
	assert_false(runtime_name_is_legal("-a"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_modes),
		TEST(test_names_are_chosen_in_turn),
		TEST(test_a_taken_name_is_refused_with_the_process),
		TEST(test_what_a_killed_process_left_is_replaced),
		TEST(test_a_lock_without_a_machine_takes_no_name),
		TEST(test_the_list_shows_the_living_and_removes_the_dead),
		TEST(test_connecting_tells_the_process),
		TEST(test_a_long_path_works_as_well),
		TEST(test_folders_that_are_not_ours_alone),
		TEST(test_anothers_runtime_folder_is_passed_over),
		TEST(test_a_folder_in_the_place_of_the_lock),
		TEST(test_processes_that_race_never_share_a_name),
		TEST(test_legal_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
