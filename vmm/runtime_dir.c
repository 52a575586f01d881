/*
 * See runtime_dir.h.
 *
 * A name is taken in this order: open NAME.lock, lock it, see that the file locked is still the
 * one of that name, remove an old socket, listen. It is given back in this order: remove the
 * socket, remove the lock file, unlock. A process that has opened the lock file before it was
 * removed locks a file without a name; the look afterwards finds that out, and it tries again.
 */
#include "vmm/runtime_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	BACKLOG = 16,
	AUTOMATIC_NAMES = 10000,
	/* Who lists removes left-overs, and holds the lock for that moment. */
	CLAIM_TRIES = 1000,
	CLAIM_PAUSE_NS = 1000000,
};

bool runtime_name_is_legal(const char *name)
{
	size_t len = strspn(name,
		"abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	return len && !name[len] && len <= RUNTIME_NAME_MAX && name[0] != '.' && name[0] != '-';
}

/* ---- The folder ---- */

static bool is_our_folder(const char *path)
{
	struct stat st;

	return path[0] == '/' && stat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
		st.st_uid == geteuid();
}

static void choose_path(char *path, size_t size)
{
	const char *given = getenv("XDG_RUNTIME_DIR");
	char usual[40];

	snprintf(usual, sizeof(usual), "/run/user/%u", (unsigned)geteuid());
	/* After `su` or `sudo` the variable may name the folder of somebody else. */
	if (given && strlen(given) + sizeof("/vmm") <= size && is_our_folder(given))
		snprintf(path, size, "%s/vmm", given);
	else if (is_our_folder(usual))
		snprintf(path, size, "%s/vmm", usual);
	else
		snprintf(path, size, "/tmp/vmm-%u", (unsigned)geteuid());
}

/* In /tmp anybody may have put something under the name. */
static int check_folder(const struct runtime_dir *dir, struct err *err)
{
	struct stat st;

	if (fstat(dir->fd, &st) < 0)
		return err_set(err, EXIT_CODE_DEVICE, errno, "can't look at %s: %s", dir->path,
			strerror(errno));
	if (st.st_uid != geteuid())
		return err_set(err, EXIT_CODE_DEVICE, EPERM,
			"%s belongs to the user with number %u: running machines can't be found "
			"there",
			dir->path, (unsigned)st.st_uid);
	if (st.st_mode & 077) {
		err_set(err, EXIT_CODE_DEVICE, EPERM, "%s is open to other users (mode %04o)",
			dir->path, (unsigned)st.st_mode & 07777);
		err_hint(err, "chmod 700 %s", dir->path);
		return -EPERM;
	}
	return 0;
}

int runtime_dir_open(struct runtime_dir *dir, bool make, struct err *err)
{
	int ret;

	dir->fd = -1;
	choose_path(dir->path, sizeof(dir->path));
	if (make && mkdir(dir->path, 0700) < 0 && errno != EEXIST)
		return err_set(err, EXIT_CODE_DEVICE, errno, "can't make the folder %s: %s",
			dir->path, strerror(errno));
	dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir->fd < 0 && errno == ENOENT && !make)
		return -ENOENT;
	if (dir->fd < 0)
		return err_set(err, EXIT_CODE_DEVICE, errno, "can't open the folder %s: %s",
			dir->path,
			errno == ENOTDIR || errno == ELOOP ? "it is no folder" : strerror(errno));
	ret = check_folder(dir, err);
	if (ret < 0)
		runtime_dir_close(dir);
	return ret;
}

void runtime_dir_close(struct runtime_dir *dir)
{
	if (dir->fd >= 0)
		close(dir->fd);
	dir->fd = -1;
}

/* ---- Files of one name ---- */

struct file_name {
	char text[RUNTIME_NAME_MAX + 8];
};

static struct file_name name_file(const char *name, const char *suffix)
{
	struct file_name file;

	snprintf(file.text, sizeof(file.text), "%.*s%s", RUNTIME_NAME_MAX, name, suffix);
	return file;
}

/* A path that does not fit is replaced by one through the open folder. */
static struct sockaddr_un socket_address(const struct runtime_dir *dir, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct file_name file = name_file(name, ".sock");
	int size = (int)sizeof(address.sun_path);
	int len = snprintf(address.sun_path, (size_t)size, "%s/%s", dir->path, file.text);

	if (len < 0 || len >= size)
		snprintf(address.sun_path, (size_t)size, "/proc/self/fd/%d/%s", dir->fd, file.text);
	return address;
}

/* -EAGAIN: somebody has it. -ESTALE: the file has lost its name meanwhile. */
static int lock_and_check(const struct runtime_dir *dir, const char *file, int fd)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct stat ours, named;

	if (fcntl(fd, F_OFD_SETLK, &whole) < 0)
		return errno == EACCES ? -EAGAIN : -errno;
	if (fstat(fd, &ours) < 0)
		return -errno;
	if (!S_ISREG(ours.st_mode))
		return -EEXIST;
	if (fstatat(dir->fd, file, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
		ours.st_dev != named.st_dev || ours.st_ino != named.st_ino)
		return -ESTALE;
	return 0;
}

/* Opens the lock file and takes the lock: the descriptor or -errno. */
static int take_lock(const struct runtime_dir *dir, const char *name, int open_flags)
{
	struct file_name file = name_file(name, ".lock");
	int fd, ret;

	do {
		fd = openat(dir->fd, file.text,
			O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | open_flags, 0600);
		if (fd < 0)
			return -errno;
		ret = lock_and_check(dir, file.text, fd);
		if (ret < 0)
			close(fd);
	} while (ret == -ESTALE);
	return ret < 0 ? ret : fd;
}

/* With the lock held. */
static void remove_files(const struct runtime_dir *dir, const char *name)
{
	unlinkat(dir->fd, name_file(name, ".sock").text, 0);
	unlinkat(dir->fd, name_file(name, ".lock").text, 0);
}

void runtime_dir_remove_stale(struct runtime_dir *dir, const char *name)
{
	int fd = take_lock(dir, name, 0);

	if (fd < 0)
		return;
	remove_files(dir, name);
	close(fd);
}

/* ---- Taking a name ---- */

static int listen_on(const struct runtime_dir *dir, const char *name)
{
	struct sockaddr_un address = socket_address(dir, name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), ret;

	if (fd < 0)
		return -errno;
	/* The file gets its mode from the socket's, so it is never open to others. */
	ret = fchmod(fd, 0600);
	if (ret == 0)
		ret = bind(fd, (const struct sockaddr *)&address, sizeof(address));
	if (ret < 0 && errno == EADDRINUSE) {
		/* Nobody listens there: the lock is ours. */
		unlinkat(dir->fd, name_file(name, ".sock").text, 0);
		ret = bind(fd, (const struct sockaddr *)&address, sizeof(address));
	}
	if (ret == 0)
		ret = listen(fd, BACKLOG);
	if (ret == 0)
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

static int claim_one(struct runtime_name *claim, const char *name)
{
	int fd = take_lock(&claim->dir, name, O_CREAT);

	if (fd < 0)
		return fd;
	claim->lock_fd = fd;
	snprintf(claim->name, sizeof(claim->name), "%s", name);
	fd = listen_on(&claim->dir, name);
	if (fd < 0)
		return fd;
	claim->listen_fd = fd;
	return 0;
}

static int refuse_taken(const struct runtime_name *claim, const char *name, struct err *err)
{
	pid_t pid = 0;
	int fd = runtime_dir_connect(&claim->dir, name, &pid);

	if (fd >= 0)
		close(fd);
	if (pid)
		err_set(err, EXIT_CODE_DEVICE, EADDRINUSE,
			"--name: a machine %s is running already, as process %d", name, (int)pid);
	else
		err_set(err, EXIT_CODE_DEVICE, EADDRINUSE,
			"--name: the name %s is taken by another process just now", name);
	err_hint(err, "Choose another name, or end that one: vmm stop %s", name);
	return -EADDRINUSE;
}

/* A machine that is busy has a queue of callers: -EAGAIN. */
static bool is_answered(const struct runtime_dir *dir, const char *name)
{
	pid_t pid;
	int fd = runtime_dir_connect(dir, name, &pid);

	if (fd >= 0)
		close(fd);
	return fd >= 0 || fd == -EAGAIN;
}

/* -EAGAIN: a machine of that name is there, or starts and does not get ready. */
static int claim_patiently(struct runtime_name *claim, const char *name)
{
	const struct timespec pause = {.tv_nsec = CLAIM_PAUSE_NS};
	int ret = claim_one(claim, name);

	/* Who lists takes the lock for a moment as well: then nobody answers. */
	for (unsigned i = 0; ret == -EAGAIN && i < CLAIM_TRIES; i++) {
		if (is_answered(&claim->dir, name))
			break;
		nanosleep(&pause, NULL);
		ret = claim_one(claim, name);
	}
	return ret;
}

static int claim_wanted(struct runtime_name *claim, const char *name, struct err *err)
{
	int ret = claim_patiently(claim, name);

	return ret == -EAGAIN ? refuse_taken(claim, name, err) : ret;
}

static int claim_first_free(struct runtime_name *claim)
{
	char name[RUNTIME_NAME_MAX + 1] = "vmm";
	int ret = claim_patiently(claim, name);

	for (unsigned i = 2; ret == -EAGAIN && i < AUTOMATIC_NAMES; i++) {
		snprintf(name, sizeof(name), "vmm%u", i);
		ret = claim_patiently(claim, name);
	}
	return ret;
}

int runtime_name_claim(struct runtime_name *claim, const char *wanted, struct err *err)
{
	int ret;

	ASSERT(!wanted || runtime_name_is_legal(wanted));
	claim->name[0] = 0;
	claim->lock_fd = claim->listen_fd = -1;
	ret = runtime_dir_open(&claim->dir, true, err);
	if (ret < 0)
		return ret;
	ret = wanted ? claim_wanted(claim, wanted, err) : claim_first_free(claim);
	if (ret == 0)
		return 0;
	/* Keeps the sentence that is there already. */
	err_set(err, EXIT_CODE_DEVICE, -ret, "can't make a control socket in %s: %s",
		claim->dir.path, strerror(-ret));
	runtime_name_release(claim);
	return ret;
}

void runtime_name_release(struct runtime_name *claim)
{
	if (claim->lock_fd >= 0) {
		remove_files(&claim->dir, claim->name);
		close(claim->lock_fd);
	}
	if (claim->listen_fd >= 0)
		close(claim->listen_fd);
	claim->lock_fd = claim->listen_fd = -1;
	runtime_dir_close(&claim->dir);
}

/* ---- Looking ---- */

/* "web" of "web.lock" and "web.sock", once each: the lock is there first and goes last. */
static bool is_lock_file(const char *file, char *name, size_t size)
{
	size_t len = strlen(file), suffix = strlen(".lock");

	if (len <= suffix || len - suffix >= size || strcmp(file + len - suffix, ".lock") != 0)
		return false;
	snprintf(name, size, "%.*s", (int)(len - suffix), file);
	return runtime_name_is_legal(name);
}

static bool is_held(const struct runtime_dir *dir, const char *name)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = openat(dir->fd, name_file(name, ".lock").text,
		O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	bool held;

	if (fd < 0)
		return false;
	held = fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
	close(fd);
	return held;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

enum {
	LIST_MAX = 1024
};

char **runtime_dir_list(struct runtime_dir *dir, size_t *count)
{
	/* One block: the pointers, and behind them the texts. */
	char **names = malloc((LIST_MAX + 1) * (sizeof(*names) + RUNTIME_NAME_MAX + 1));
	char *text = (char *)(names + LIST_MAX + 1);
	int fd = fcntl(dir->fd, F_DUPFD_CLOEXEC, 0);
	DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	*count = 0;
	if (stream)
		rewinddir(stream);
	while (names && stream && *count < LIST_MAX && (entry = readdir(stream))) {
		if (!is_lock_file(entry->d_name, text, RUNTIME_NAME_MAX + 1))
			continue;
		if (is_held(dir, text)) {
			names[(*count)++] = text;
			text += RUNTIME_NAME_MAX + 1;
		} else {
			runtime_dir_remove_stale(dir, text);
		}
	}
	if (stream)
		closedir(stream);
	else if (fd >= 0)
		close(fd);
	if (!names)
		return NULL;
	qsort(names, *count, sizeof(*names), compare_names);
	names[*count] = NULL;
	return names;
}

int runtime_dir_connect(const struct runtime_dir *dir, const char *name, pid_t *pid)
{
	struct sockaddr_un address = socket_address(dir, name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), ret;
	struct ucred peer;
	socklen_t size = sizeof(peer);

	*pid = 0;
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		ret = -errno;
		close(fd);
		return ret;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
		*pid = peer.pid;
	return fd;
}
