/*
 * See net_tap_attach.h. With net_tap.c the home of <linux/if_tun.h>.
 *
 * Source: the kernel's Documentation/networking/tuntap.rst.
 */
#include "devices/backend/net_tap_attach.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vmm/base/log.h"
#include "vmm/base/util.h"

enum {
	TAP_FLAGS = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR,
};

int net_tap_ask(
	const struct net_tap_interface *self, int fd, unsigned long request, struct ifreq *ifr)
{
	memcpy(ifr->ifr_name, self->name, sizeof(ifr->ifr_name));
	return ioctl(fd, request, ifr) < 0 ? -errno : 0;
}

/* ---- By name ---- */

/* "tap" or "tun" for an interface of the tun driver, "" for any other and for none. */
static void read_tun_kind(const struct net_tap_interface *self, char *kind, size_t size)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq ifr = {.ifr_data = (char *)&info};

	*kind = '\0';
	if (net_tap_ask(self, self->control, SIOCETHTOOL, &ifr) == 0 && !strcmp(info.driver, "tun"))
		snprintf(kind, size, "%.*s", (int)sizeof(info.bus_info), info.bus_info);
}

/* What root does once, so that this user can have the interface ever after. */
static void hint_tuntap(
	const struct net_tap_interface *self, bool exists, unsigned queues, struct err *err)
{
	const struct passwd *user = getpwuid(geteuid());
	char number[16];

	snprintf(number, sizeof(number), "%u", (unsigned)geteuid());
	err_hint(err, "as root: %s%s%sip tuntap add dev %s mode tap %suser %s && ip link set %s up",
		exists ? "ip link delete " : "", exists ? self->name : "", exists ? " && " : "",
		self->name, queues > 1 ? "multi_queue " : "", user ? user->pw_name : number,
		self->name);
}

static int refuse_interface(const struct net_tap_interface *self, int errnum, bool exists,
	unsigned queues, struct err *err)
{
	const char *name = self->name;
	char kind[ETHTOOL_BUSINFO_LEN];

	read_tun_kind(self, kind, sizeof(kind));
	if (exists && !*kind)
		return err_set(err, EXIT_CODE_DEVICE, errnum,
			"the interface %s is no TAP interface", name);
	if (exists && !strcmp(kind, "tun"))
		return err_set(err, EXIT_CODE_DEVICE, errnum,
			"the interface %s is a TUN interface (without Ethernet), not a TAP", name);
	switch (errnum) {
	case EBUSY:
		return err_set(err, EXIT_CODE_DEVICE, errnum,
			"the TAP interface %s is in use by another program", name);
	case EPERM:
		hint_tuntap(self, exists, queues, err);
		return exists
			? err_set(err, EXIT_CODE_DEVICE, errnum,
				  "the TAP interface %s is another user's", name)
			: err_set(err, EXIT_CODE_DEVICE, errnum,
				  "there is no interface %s, and only root can make one", name);
	case EINVAL:
		hint_tuntap(self, exists, queues, err);
		return err_set(err, EXIT_CODE_DEVICE, errnum,
			"the TAP interface %s was made %s several queues", name,
			queues > 1 ? "without" : "for");
	case E2BIG:
		return err_set(err, EXIT_CODE_DEVICE, errnum,
			"the TAP interface %s has no room for %u more queues", name, queues);
	default:
		return err_set(err, EXIT_CODE_DEVICE, errnum, "can't use the TAP interface %s: %s",
			name, strerror(errnum));
	}
}

static int open_tun(struct err *err)
{
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), ret = -errno;

	if (fd >= 0)
		return fd;
	if (ret == -ENOENT || ret == -ENODEV || ret == -ENXIO)
		err_hint(err, "as root: modprobe tun");
	else if (ret == -EACCES)
		err_hint(err, "as root: chmod 666 /dev/net/tun; it is so on most systems");
	return err_set(err, EXIT_CODE_DEVICE, -ret, "can't open /dev/net/tun: %s", strerror(-ret));
}

/* One descriptor for each pair. 0 or -errno, with a sentence only if there is none of /dev/net/tun. */
static int attach(struct net_tap_interface *self, unsigned queue, bool multi, struct err *err)
{
	struct ifreq ifr = {.ifr_flags = (short)(TAP_FLAGS | (multi ? IFF_MULTI_QUEUE : 0))};
	int ret;

	if (self->fds[queue] < 0)
		self->fds[queue] = open_tun(err);
	if (self->fds[queue] < 0)
		return self->fds[queue];
	ret = net_tap_ask(self, self->fds[queue], TUNSETIFF, &ifr);
	if (ret == 0)
		memcpy(self->name, ifr.ifr_name, sizeof(self->name));
	return ret;
}

static int check_name(const char *name, struct err *err)
{
	size_t len = strlen(name);

	if (len >= IFNAMSIZ)
		return err_set(err, EXIT_CODE_DEVICE, ENAMETOOLONG,
			"an interface's name has at most %d characters, not %zu: %.60s",
			IFNAMSIZ - 1, len, name);
	if (!strcmp(name, ".") || !strcmp(name, "..") || name[strcspn(name, "/: \t\n%")])
		return err_set(
			err, EXIT_CODE_DEVICE, EINVAL, "'%s' is no name of an interface", name);
	return 0;
}

/* An interface of ours can be used at once. */
static void set_up(const struct net_tap_interface *self)
{
	struct ifreq ifr = {.ifr_flags = 0};

	if (net_tap_ask(self, self->control, SIOCGIFFLAGS, &ifr) < 0)
		return;
	ifr.ifr_flags |= IFF_UP;
	if (net_tap_ask(self, self->control, SIOCSIFFLAGS, &ifr) < 0)
		log_debug("net %s: can't set it up: %s", self->name, strerror(errno));
}

int net_tap_attach(
	struct net_tap_interface *self, const char *name, unsigned queues, struct err *err)
{
	bool multi = queues > 1, exists;
	int ret = check_name(name, err);

	if (ret < 0)
		return ret;
	snprintf(self->name, sizeof(self->name), "%s", name);
	exists = if_nametoindex(self->name);
	ret = attach(self, 0, multi, err);
	/* Made for several queues, and one is enough for us. */
	if (ret == -EINVAL && exists && !multi)
		ret = attach(self, 0, true, err);
	for (unsigned i = 1; ret >= 0 && i < queues; i++)
		ret = attach(self, i, true, err);
	if (ret < 0)
		return err_is_set(err) ? ret : refuse_interface(self, -ret, exists, queues, err);
	if (!exists)
		set_up(self);
	return 0;
}

/* ---- A descriptor ---- */

int net_tap_adopt(struct net_tap_interface *self, int fd, struct err *err)
{
	struct ifreq ifr = {.ifr_flags = 0};
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return err_set(err, EXIT_CODE_DEVICE, EBADF,
			"--net fd=%d: no such descriptor was passed in", fd);
	if (ioctl(fd, TUNGETIFF, &ifr) < 0 || !(ifr.ifr_flags & IFF_TAP))
		return err_set(err, EXIT_CODE_DEVICE, ENOTTY,
			"--net fd=%d: the descriptor is no TAP interface", fd);
	if (!(ifr.ifr_flags & IFF_VNET_HDR) || !(ifr.ifr_flags & IFF_NO_PI))
		return err_set(err, EXIT_CODE_DEVICE, EINVAL,
			"--net fd=%d: the TAP interface %.15s was opened without the flags "
			"IFF_VNET_HDR and IFF_NO_PI",
			fd, ifr.ifr_name);
	self->fds[0] = fd;
	memcpy(self->name, ifr.ifr_name, sizeof(self->name));
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return err_set(
			err, EXIT_CODE_DEVICE, errno, "--net fd=%d: %s", fd, strerror(errno));
	return 0;
}
