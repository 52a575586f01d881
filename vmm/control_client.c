/*
 * See control_client.h. pidfd_open(2), unix(7) SO_PEERCRED.
 */
#include "vmm/control_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/opts.h"

/* "error 32768\n" */
enum {
	HEADER_MAX = 24
};

/* ---- Connecting ---- */

static bool has_hung_up(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLRDHUP};

	return poll(&pfd, 1, 0) > 0 && pfd.revents & (POLLHUP | POLLERR | POLLRDHUP);
}

/*
 * The number may be another process's by the time it is looked up. But as long as the connection
 * stands, the process that listened has not ended, and its number is its own.
 */
static int open_pidfd(int fd, pid_t pid)
{
	int pidfd = pid > 0 ? pidfd_open(pid, 0) : -1;

	if (pidfd >= 0 && has_hung_up(fd)) {
		close(pidfd);
		pidfd = -1;
	}
	return pidfd;
}

int control_open_in(struct control_link *link, const struct runtime_dir *dir, const char *name)
{
	*link = (struct control_link){.fd = -1, .pidfd = -1};
	snprintf(link->name, sizeof(link->name), "%s", name);
	link->fd = runtime_dir_connect(dir, name, &link->pid);
	if (link->fd < 0)
		return link->fd;
	link->pidfd = open_pidfd(link->fd, link->pid);
	return 0;
}

void control_open_fd(struct control_link *link, const char *name, int fd)
{
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);

	*link = (struct control_link){.fd = fd, .pidfd = -1};
	snprintf(link->name, sizeof(link->name), "%s", name);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
		link->pid = peer.pid;
}

static int refuse_unknown(struct runtime_dir *dir, const char *name, struct err *err)
{
	size_t count = 0;
	char **names = dir ? runtime_dir_list(dir, &count) : NULL;
	const char *nearest = names ? opts_nearest(name, (const char *const *)names) : NULL;

	err_set(err, EXIT_CODE_NAME, ENOENT, "no machine '%.70s' is running", name);
	if (nearest)
		err_hint(err, "Did you mean %s?", nearest);
	else if (count)
		err_hint(err, "vmm list shows those that are");
	else
		err_hint(err, "There is none at all; one is started with vmm --name NAME ...");
	free(names);
	return -ENOENT;
}

int control_open(struct control_link *link, const char *name, struct err *err)
{
	struct runtime_dir dir;
	int ret;

	*link = (struct control_link){.fd = -1, .pidfd = -1};
	ret = runtime_dir_open(&dir, false, err);
	if (ret == -ENOENT)
		return refuse_unknown(NULL, name, err);
	if (ret < 0)
		return ret;
	ret = runtime_name_is_legal(name) ? control_open_in(link, &dir, name) : -ENOENT;
	if (ret == -ENOENT || ret == -ECONNREFUSED)
		ret = refuse_unknown(&dir, name, err);
	else if (ret < 0)
		err_set(err, EXIT_CODE_NAME, -ret, "can't connect to the machine %s: %s", name,
			ret == -EAGAIN ? "too many others wait for it" : strerror(-ret));
	runtime_dir_close(&dir);
	return ret;
}

void control_close(struct control_link *link)
{
	if (link->fd >= 0)
		close(link->fd);
	if (link->pidfd >= 0)
		close(link->pidfd);
	link->fd = link->pidfd = -1;
}

/* ---- Asking ---- */

/* 0 when `events` or an end of the connection came; -ETIMEDOUT. */
static int wait_for(int fd, short events, uint64_t deadline_ns)
{
	for (;;) {
		struct pollfd pfd = {.fd = fd, .events = events};
		uint64_t now_ns = util_now_ns();
		uint64_t left_ms = now_ns < deadline_ns ? (deadline_ns - now_ns) / 1000000 + 1 : 0;
		int n = poll(&pfd, 1, (int)MIN(left_ms, (uint64_t)INT32_MAX));

		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0 && util_now_ns() >= deadline_ns)
			return -ETIMEDOUT;
	}
}

static int send_all(int fd, const char *data, size_t len, uint64_t deadline_ns)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			int ret = wait_for(fd, POLLOUT, deadline_ns);

			if (ret < 0)
				return ret;
			continue;
		}
		if (n < 0 && errno != EINTR)
			return errno == ECONNRESET ? -EPIPE : -errno;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* The file that came along, if one did: the last of several. */
static void keep_file(struct msghdr *msg, int *file)
{
	for (struct cmsghdr *head = CMSG_FIRSTHDR(msg); head; head = CMSG_NXTHDR(msg, head)) {
		size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
			continue;
		/* There is room for two, as the kernel's padding has it. */
		for (size_t i = 0; i < count; i++) {
			if (*file >= 0)
				close(*file);
			memcpy(file, CMSG_DATA(head) + i * sizeof(int), sizeof(int));
		}
	}
}

/* As recv(). Without `file` what comes along is closed by the kernel. */
static ssize_t receive_some(int fd, char *data, size_t len, int *file)
{
	struct iovec iov = {data, len};
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))]; /* the kernel closes what is more */
	} control;
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (file) {
		msg.msg_control = control.room;
		msg.msg_controllen = sizeof(control.room);
	}
	n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n >= 0 && file)
		keep_file(&msg, file);
	return n;
}

/* Some bytes, at most `len`; -EPIPE at the end of the connection. */
static int64_t receive(int fd, char *data, size_t len, uint64_t deadline_ns, int *file)
{
	for (;;) {
		ssize_t n = receive_some(fd, data, len, file);
		int ret;

		if (n > 0)
			return n;
		if (n == 0 || errno == ECONNRESET)
			return -EPIPE;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		ret = wait_for(fd, POLLIN, deadline_ns);
		if (ret < 0)
			return ret;
	}
}

/*
 * "ok 12\n", byte by byte: what follows "ok 0\n" may belong to whoever the connection goes to.
 * 1: an error's header.
 */
static int read_header(int fd, size_t *len, uint64_t deadline_ns, int *file)
{
	char line[HEADER_MAX] = "", word[8], end;
	unsigned long length;
	size_t used = 0;

	while (!used || line[used - 1] != '\n') {
		int64_t n;

		if (used == sizeof(line) - 1)
			return -EPROTO;
		n = receive(fd, line + used, 1, deadline_ns, file);
		if (n < 0)
			return (int)n;
		used++;
	}
	line[used] = 0;
	if (strlen(line) != used || sscanf(line, "%7[a-z] %6lu%c", word, &length, &end) != 3 ||
		end != '\n' || length > CONTROL_TEXT_MAX)
		return -EPROTO;
	*len = length;
	if (!strcmp(word, "ok"))
		return 0;
	return strcmp(word, "error") ? -EPROTO : 1;
}

static int read_answer(int fd, struct control_answer *answer, uint64_t deadline_ns, int *file)
{
	size_t wanted = 0;
	int ret = read_header(fd, &wanted, deadline_ns, file);

	while (ret >= 0 && answer->len < wanted) {
		int64_t n = receive(
			fd, answer->text + answer->len, wanted - answer->len, deadline_ns, file);

		if (n < 0)
			return (int)n;
		answer->len += (size_t)n;
	}
	answer->text[answer->len] = 0;
	if (ret >= 0 && strlen(answer->text) != answer->len)
		return -EPROTO;
	return ret;
}

static int explain(const struct control_link *link, int ret, struct err *err)
{
	switch (ret) {
	case -ETIMEDOUT:
		err_set(err, EXIT_CODE_NAME, ETIMEDOUT,
			"the machine %s (process %d) does not answer", link->name, (int)link->pid);
		err_hint(err, "Its process may be stopped; vmm kill %s ends it", link->name);
		break;
	case -EPROTO:
		err_set(err, EXIT_CODE_NAME, EPROTO,
			"the machine %s (process %d) gives no answer that this vmm understands",
			link->name, (int)link->pid);
		break;
	case -EPIPE:
		err_set(err, EXIT_CODE_NAME, EPIPE, "the machine %s has just ended", link->name);
		break;
	default:
		err_set(err, EXIT_CODE_NAME, -ret, "can't talk to the machine %s: %s", link->name,
			strerror(-ret));
	}
	return ret;
}

static int exchange(struct control_link *link, const char *request, unsigned patience_ms,
	struct control_answer *answer, int *file, struct err *err)
{
	uint64_t deadline_ns = util_now_ns() + patience_ms * UINT64_C(1000000);
	char line[CONTROL_LINE_MAX + 1];
	int len = snprintf(line, sizeof(line), "%s\n", request), ret;

	answer->len = 0;
	answer->text[0] = 0;
	if (len > CONTROL_LINE_MAX)
		return err_set(err, EXIT_CODE_USAGE, E2BIG, "%s: the words are too long", request);
	ret = send_all(link->fd, line, (size_t)len, deadline_ns);
	if (ret == 0)
		ret = read_answer(link->fd, answer, deadline_ns, file);
	if (ret < 0)
		return explain(link, ret, err);
	if (ret == 0)
		return 0;
	err_set(err, EXIT_CODE_NAME, EREMOTEIO, "%s: %.500s", link->name, answer->text);
	return -EREMOTEIO;
}

int control_ask(struct control_link *link, const char *request, unsigned patience_ms,
	struct control_answer *answer, struct err *err)
{
	return exchange(link, request, patience_ms, answer, NULL, err);
}

int control_ask_file(struct control_link *link, const char *request, unsigned patience_ms,
	struct control_answer *answer, int *fd, struct err *err)
{
	int ret;

	*fd = -1;
	ret = exchange(link, request, patience_ms, answer, fd, err);
	if (ret < 0 && *fd >= 0) {
		close(*fd);
		*fd = -1;
	}
	return ret;
}

int control_wait_end(struct control_link *link, unsigned timeout_ms)
{
	uint64_t deadline_ns = util_now_ns() + timeout_ms * UINT64_C(1000000);

	/* Without a pidfd (the number is of another namespace) the end of the connection tells. */
	return link->pidfd >= 0 ? wait_for(link->pidfd, POLLIN, deadline_ns)
				: wait_for(link->fd, POLLRDHUP, deadline_ns);
}

const char *control_find_value(const char *text, const char *key, size_t *len)
{
	size_t key_len = strlen(key);

	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		if (strncmp(line, key, key_len) != 0 || line[key_len] != '=')
			continue;
		*len = strcspn(line + key_len + 1, "\n");
		return line + key_len + 1;
	}
	return NULL;
}
