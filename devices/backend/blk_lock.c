/*
 * See blk_lock.h.
 *
 * The kernel does not say who holds an open file description lock: F_OFD_GETLK and
 * /proc/locks give -1 for the process. But /proc/PID/fdinfo/FD lists the locks of
 * each descriptor, so the holder is the process with a descriptor of the same file that has
 * such a line. Processes of other users can't be looked at without privilege; then the
 * sentence goes without a name.
 */
#include "devices/backend/blk_lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/log.h"

struct holder {
	long pid; /* 0 = not found */
	bool writes;
	char program[64];
};

/* Looks for a lock of kind WRITE, or of any kind, in one descriptor's lines. */
static bool find_lock(const char *fdinfo_path, bool write_only, bool *writes)
{
	FILE *file = fopen(fdinfo_path, "re");
	char line[256];
	bool found = false;

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "lock:", 5) != 0 || strstr(line, "FLOCK") ||
			strstr(line, "LEASE"))
			continue;
		*writes = strstr(line, " WRITE ");
		found = *writes || !write_only;
	}
	fclose(file);
	return found;
}

static bool holds_lock(const char *pid, const struct stat *wanted, bool write_only, bool *writes)
{
	char path[300];
	struct dirent *entry;
	struct stat st;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		if (fstatat(dirfd(dir), entry->d_name, &st, 0) < 0 || st.st_dev != wanted->st_dev ||
			st.st_ino != wanted->st_ino)
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/fdinfo/%.20s", pid, entry->d_name);
		found = find_lock(path, write_only, writes);
	}
	closedir(dir);
	return found;
}

static void read_program_name(struct holder *holder)
{
	char path[64];
	FILE *file;

	snprintf(holder->program, sizeof(holder->program), "a program");
	snprintf(path, sizeof(path), "/proc/%ld/comm", holder->pid);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(holder->program, sizeof(holder->program), file))
		holder->program[strcspn(holder->program, "\n")] = '\0';
	fclose(file);
}

static void find_holder(int fd, bool write_only, struct holder *holder)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	struct stat wanted;

	*holder = (struct holder){.pid = 0};
	if (!dir)
		return;
	while (fstat(fd, &wanted) == 0 && !holder->pid && (entry = readdir(dir))) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);

		if (pid > 0 && !*end &&
			holds_lock(entry->d_name, &wanted, write_only, &holder->writes))
			holder->pid = pid;
	}
	closedir(dir);
	if (holder->pid)
		read_program_name(holder);
}

static int refuse(int fd, const char *path, bool exclusive, struct err *err)
{
	struct holder holder;

	/* A reader is refused only because of a writer. */
	find_holder(fd, !exclusive, &holder);
	if (holder.pid == (long)getpid()) {
		err_set(err, EXIT_CODE_IMAGE, EBUSY,
			"disk image %s is given to this machine twice, and one of them may write",
			path);
		err_hint(err, "name it once, or give it ,ro or ,ephemeral each time");
		return -EBUSY;
	}
	if (holder.pid)
		err_set(err, EXIT_CODE_IMAGE, EBUSY,
			"disk image %s is in use by %s (process %ld)%s", path, holder.program,
			holder.pid, holder.writes ? "" : ", which only reads it");
	else
		err_set(err, EXIT_CODE_IMAGE, EBUSY,
			"disk image %s is in use by another program, which can't be seen from here",
			path);
	if (exclusive && holder.pid && !holder.writes)
		err_hint(err,
			"end that program, or read the image together with it: add ,ro or "
			",ephemeral to --disk");
	else
		err_hint(err, "end that program first, or use a copy of the image");
	return -EBUSY;
}

int blk_lock_file(int fd, const char *path, bool exclusive, struct err *err)
{
	struct flock lock = {.l_type = exclusive ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return refuse(fd, path, exclusive, err);
	log_warn("disk image %s can't be locked (%s): take care that nothing else uses it", path,
		strerror(errno));
	return 0;
}
