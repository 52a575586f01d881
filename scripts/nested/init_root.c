/*
 * The nested host's modules, file systems and devices. Part of its process 1; one thread.
 *
 * The root is this machine's `/`, read by 9p, under a layer in memory that takes all writes and
 * vanishes at the end. Knows nothing of the command that will run there.
 */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/*
 * msize: larger requests, fewer exits. The root does not change under us as far as we are
 * concerned, so it may be cached; a folder that both sides write may not (mmap keeps only what is
 * mapped).
 */
#define ROOT_OPTIONS	 "trans=virtio,version=9p2000.L,msize=512000,cache=loose"
#define WRITABLE_OPTIONS "trans=virtio,version=9p2000.L,msize=512000,cache=mmap"

static char *next_string(char **cursor, const char *end)
{
	char *string = *cursor;
	size_t left = (size_t)(end - string);
	size_t length;

	if (string >= end)
		return NULL;
	length = strnlen(string, left);
	if (length == left)
		return NULL;
	*cursor = string + length + 1;
	return string;
}

static char **next_strings(char **cursor, const char *end, uint32_t count)
{
	char **list;

	if (count > MSG_BYTES_MAX)
		return NULL;
	list = calloc((size_t)count + 1, sizeof(*list));
	for (uint32_t i = 0; list && i < count; i++) {
		list[i] = next_string(cursor, end);
		if (!list[i])
			return NULL;
	}
	return list;
}

bool orders_parse(struct orders *orders, char *payload, size_t bytes)
{
	char *cursor = payload + sizeof(orders->start), *end = payload + bytes;

	if (bytes < sizeof(orders->start))
		return false;
	memcpy(&orders->start, payload, sizeof(orders->start));
	orders->directory = next_string(&cursor, end);
	orders->modules = next_string(&cursor, end);
	orders->arguments = next_strings(&cursor, end, orders->start.argc);
	orders->environment = next_strings(&cursor, end, orders->start.envc);
	orders->writable = next_strings(&cursor, end, orders->start.rwc);
	return orders->directory && orders->modules && orders->arguments && orders->environment &&
		orders->writable && orders->start.argc > 0;
}

/* /modules/order: one module a line, in the order of their needs: file name, then parameters. */
static void load_modules(void)
{
	FILE *order = fopen("/modules/order", "re");
	char line[256];

	if (!order)
		die("/modules/order");
	while (fgets(line, sizeof(line), order)) {
		char path[300];
		char *parameters;
		int file;

		line[strcspn(line, "\n")] = '\0';
		parameters = strchr(line, ' ');
		if (parameters)
			*parameters++ = '\0';
		snprintf(path, sizeof(path), "/modules/%s", line);
		file = open(path, O_RDONLY | O_CLOEXEC);
		if (file < 0 || syscall(SYS_finit_module, file, parameters ? parameters : "", 0))
			die(path);
		close(file);
	}
	fclose(order);
}

static void mount_or_die(const char *source, const char *target, const char *type,
	unsigned long flags, const char *data)
{
	mkdir(target, 0755);
	if (mount(source, target, type, flags, data))
		die(target);
}

/* The first thing that needs a device: virtio probing may still be under way. */
static void mount_host_root(void)
{
	mkdir("/host", 0755);
	for (int tries = 0; mount("hostroot", "/host", "9p", MS_RDONLY, ROOT_OPTIONS); tries++) {
		if (tries == 5000)
			die("/host");
		usleep(1000);
	}
}

static void set_text(const char *path, const char *text)
{
	int file = open(path, O_WRONLY | O_CLOEXEC);

	/* Comfort only: an older kernel without the knob is no reason to fail. */
	if (file >= 0 && write(file, text, strlen(text)) < 0)
		dprintf(STDERR_FILENO, "nested init: %s: %s\n", path, strerror(errno));
	if (file >= 0)
		close(file);
}

static void bring_up_loopback(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (any < 0 || ioctl(any, SIOCSIFFLAGS, &request))
		die("lo");
	close(any);
}

/* A plain chroot would do for all but user namespaces, which the kernel then refuses. */
static void enter_root(void)
{
	if (chdir("/root") || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		die("entering the root");
}

void root_assemble(void)
{
	mount_or_die("dev", "/dev", "devtmpfs", 0, "mode=755");
	load_modules();
	mount_host_root();
	mount_or_die("layer", "/layer", "tmpfs", 0, "mode=755");
	mkdir("/layer/upper", 0755);
	mkdir("/layer/work", 0755);
	mount_or_die("root", "/root", "overlay", 0,
		"lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work,volatile");
	if (mount("/dev", "/root/dev", NULL, MS_MOVE, NULL))
		die("/dev");
	enter_root();
	mount_or_die("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount_or_die("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount_or_die("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		"mode=620,gid=5,ptmxmode=666");
	mount_or_die("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
	mount_or_die("run", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755");
	mount_or_die(
		"cgroup2", "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	if (symlink("/proc/self/fd", "/dev/fd") || symlink("/proc/self/fd/0", "/dev/stdin") ||
		symlink("/proc/self/fd/1", "/dev/stdout") ||
		symlink("/proc/self/fd/2", "/dev/stderr"))
		die("/dev/fd");
	mkdir("/run/lock", 01777);
	bring_up_loopback();
	sethostname("nested", 6);
}

static int make_folders(const char *path)
{
	char part[4096];

	if (strlen(path) >= sizeof(part)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(part, path);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(part, 0755);
		*slash = '/';
	}
	return mkdir(part, 0755) && errno != EEXIST ? -1 : 0;
}

static void own_devices(gid_t kvm_gid)
{
	mode_t mode = kvm_gid ? 0660 : 0666;

	if (chown("/dev/kvm", 0, kvm_gid) || chmod("/dev/kvm", mode))
		die("/dev/kvm");
	if (chmod("/dev/net/tun", 0666))
		die("/dev/net/tun");
	if (access("/dev/vhost-net", F_OK) == 0 &&
		(chown("/dev/vhost-net", 0, kvm_gid) || chmod("/dev/vhost-net", mode)))
		die("/dev/vhost-net");
}

/* modprobe, the kernel's own included, looks in /lib/modules/VERSION. */
static void link_modules(const char *folder)
{
	struct utsname system;
	char path[512];

	if (*folder == '\0' || uname(&system))
		return;
	snprintf(path, sizeof(path), "/lib/modules/%s", system.release);
	make_folders("/lib/modules");
	if (symlink(folder, path) && errno != EEXIST)
		dprintf(STDERR_FILENO, "nested init: %s: %s\n", path, strerror(errno));
}

const char *root_finish(const struct orders *orders)
{
	static char tag[16];
	uint64_t ns = orders->start.realtime_ns;
	struct timespec now = {
		.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};

	if (orders->start.flags & START_SET_CLOCK)
		clock_settime(CLOCK_REALTIME, &now);
	own_devices(orders->start.kvm_gid);
	link_modules(orders->modules);
	set_text("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
	for (uint32_t i = 0; i < orders->start.rwc; i++) {
		snprintf(tag, sizeof(tag), "rw%u", i);
		if (make_folders(orders->writable[i]) ||
			mount(tag, orders->writable[i], "9p", 0, WRITABLE_OPTIONS))
			return orders->writable[i];
	}
	return NULL;
}

void root_release(const struct orders *orders)
{
	if (chdir("/"))
		die("/");
	for (uint32_t i = orders->start.rwc; i-- > 0;)
		if (umount2(orders->writable[i], 0))
			umount2(orders->writable[i], MNT_DETACH);
	if (orders->start.rwc)
		sync();
}
