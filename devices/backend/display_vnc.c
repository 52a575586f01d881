/*
 * See display_vnc.h. Listens, and gives everybody who comes a thread (display_vnc_client.c).
 *
 * The library's own listening, web server, signal handling and threads are not used. File transfer
 * and its other extensions are off unless a program turns them on, which this one does not.
 *
 * Threads: the loop's, and one for each client.
 */
#include "devices/backend/display_vnc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/backend/display_vnc_impl.h"
#include "devices/backend/unix_listen.h"
#include "vmm/base/log.h"

enum {
	BACKLOG = 8,
	PASSWORD_FILE_BYTES = 256,
};

#define ACCEPT_PAUSE_NS UINT64_C(100000000)

/* What only this file needs. */
struct vnc_server {
	struct display_vnc vnc;
	struct loop *loop;
	struct unix_listen socket; /* fd -1: it is not one */
	int port_fd;		   /* -1 */
	struct loop_fd listener;
	struct loop_timer accept_timer;
	struct log_limit complaints;
};

static struct vnc_server *server_of(struct display_vnc *vnc)
{
	return CONTAINER_OF(vnc, struct vnc_server, vnc);
}

/* ---- Letting people in ---- */

static void *run_client(void *opaque)
{
	struct vnc_client *client = opaque;

	pthread_setname_np(pthread_self(), "vnc");
	vnc_client_serve(client);
	atomic_store(&client->is_served, false);
	return NULL;
}

static void join(struct vnc_client *client)
{
	if (client->has_thread)
		pthread_join(client->thread, NULL);
	client->has_thread = false;
}

static struct vnc_client *find_place(struct display_vnc *vnc)
{
	for (unsigned i = 0; i < VNC_CLIENTS_MAX; i++) {
		if (atomic_load(&vnc->clients[i].is_served))
			continue;
		join(&vnc->clients[i]);
		return &vnc->clients[i];
	}
	return NULL;
}

/* All signals stay with the threads that expect them; a closed socket's SIGPIPE goes nowhere. */
static int start_thread(struct vnc_client *client)
{
	sigset_t all, before;
	int ret;

	sigfillset(&all);
	atomic_store(&client->is_served, true);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&client->thread, NULL, run_client, client);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	client->has_thread = ret == 0;
	if (ret)
		atomic_store(&client->is_served, false);
	return -ret;
}

static const char *let_in(struct display_vnc *vnc, int fd)
{
	struct vnc_client *client;

	if (util_now_ns() < atomic_load(&vnc->closed_until_ns))
		return "too many wrong passwords came before";
	if (fd >= FD_SETSIZE)
		return "the process has too many files open";
	client = find_place(vnc);
	if (!client)
		return "there are as many as may be";
	client->sock = fd;
	if (start_thread(client) < 0) {
		client->sock = -1;
		return "there is no thread for it";
	}
	atomic_fetch_add_explicit(&vnc->connections, 1, memory_order_relaxed);
	return NULL;
}

static void handle_connection(void *opaque, uint32_t events)
{
	struct vnc_server *server = opaque;
	int fd = accept4(server->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	const char *why;

	(void)events;
	if (fd < 0) {
		/* Who waits stays in the queue: without a pause this would be called for ever. */
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
			loop_fd_set_events(&server->listener, 0);
			loop_timer_arm(server->loop, &server->accept_timer, ACCEPT_PAUSE_NS);
		}
		return;
	}
	why = let_in(&server->vnc, fd);
	if (!why)
		return;
	/* Whoever sees the end of the connection finds it counted. */
	atomic_fetch_add(&server->vnc.refused, 1);
	close(fd);
	log_guest(&server->complaints, "vnc", "a client is refused: %s", why);
}

static void accept_again(void *opaque)
{
	struct vnc_server *server = opaque;

	loop_fd_set_events(&server->listener, EPOLLIN);
}

/* ---- Listening ---- */

static int open_listener(
	struct vnc_server *server, const struct listen_address *address, struct err *err)
{
	int ret = unix_listen_init(&server->socket, "VNC socket", address->path, 0, err);

	if (ret >= 0 && address->path[0])
		ret = unix_listen_open(&server->socket, BACKLOG, err);
	else if (ret >= 0)
		ret = server->port_fd = listen_address_open_port(address, "VNC", BACKLOG, err);
	if (ret < 0)
		return ret;
	server->listener = (struct loop_fd){
		.fd = address->path[0] ? server->socket.fd : server->port_fd,
		.events = EPOLLIN,
		.fn = handle_connection,
		.opaque = server,
	};
	ret = loop_fd_add(server->loop, &server->listener);
	return ret < 0 ? err_set(err, EXIT_CODE_INTERNAL, -ret, "can't watch a VNC socket: %s",
				 strerror(-ret))
		       : 0;
}

/* ---- The password ---- */

static int take_password(
	struct display_vnc *vnc, const char *path, const char *text, struct err *err)
{
	size_t len = strcspn(text, "\r\n");

	if (!len) {
		err_hint(err, "write the password on its first line");
		return err_set(
			err, EXIT_CODE_DEVICE, EINVAL, "the password file %s is empty", path);
	}
	if (len > VNC_PASSWORD_BYTES)
		log_warn("the VNC password has %zu characters, of which %d count", len,
			VNC_PASSWORD_BYTES);
	memcpy(vnc->password, text, MIN(len, (size_t)VNC_PASSWORD_BYTES));
	vnc->password_data = vnc->password;
	return 0;
}

static int read_password(struct display_vnc *vnc, const char *path, struct err *err)
{
	/* A pipe that nobody writes to shall not hold us up. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), ret;
	char text[PASSWORD_FILE_BYTES + 1] = "";
	ssize_t n = fd < 0 ? -1 : read(fd, text, PASSWORD_FILE_BYTES);
	struct stat st;

	ret = n < 0 ? err_set(err, EXIT_CODE_DEVICE, errno, "can't read the password file %s: %s",
			      path, strerror(errno))
		    : take_password(vnc, path, text, err);
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_mode & 077)
		log_warn("others can read the password file %s: chmod 600 it", path);
	explicit_bzero(text, sizeof(text));
	if (fd >= 0)
		close(fd);
	return ret;
}

/* ---- Life ---- */

static int check_config(const struct display_vnc_config *config, struct err *err)
{
	if (!listen_address_is_public(&config->address) || config->password_file)
		return 0;
	err_hint(err,
		"add password-file=FILE, or let it listen on unix:PATH or 127.0.0.1 and come in by "
		"ssh -L");
	return err_set(err, EXIT_CODE_DEVICE, EPERM,
		"VNC on %s would let anybody in who reaches this host: it needs a password",
		config->address.host);
}

static int start(
	struct vnc_server *server, const struct display_vnc_config *config, struct err *err)
{
	struct display_vnc *vnc = &server->vnc;
	int ret = check_config(config, err);

	if (ret < 0)
		return ret;
	vnc->lib = vnc_lib_load();
	if (!vnc->lib) {
		err_hint(err,
			"install it (Debian: the package " DISPLAY_VNC_PACKAGE
			"), or leave --display vnc out");
		return err_set(err, EXIT_CODE_DEVICE, ENOENT,
			"there is no VNC: the library libvncserver.so.1 is not installed");
	}
	vnc_touch_register(vnc->lib);
	if (config->password_file)
		ret = read_password(vnc, config->password_file, err);
	for (unsigned i = 0; i < VNC_CLIENTS_MAX && ret >= 0; i++) {
		ret = vnc_client_init(&vnc->clients[i], vnc);
		if (ret < 0)
			err_set(err, EXIT_CODE_INTERNAL, -ret, "can't prepare for VNC clients: %s",
				strerror(-ret));
	}
	return ret < 0 ? ret : open_listener(server, &config->address, err);
}

int display_vnc_start(struct display_vnc **vnc, struct display *display, struct input *input,
	struct loop *loop, const struct display_vnc_config *config, struct err *err)
{
	struct vnc_server *server = calloc(1, sizeof(*server));
	int ret;

	if (!server)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for VNC");
	server->loop = loop;
	server->socket.fd = server->port_fd = -1;
	server->accept_timer = (struct loop_timer){.fn = accept_again, .opaque = server};
	server->vnc.display = display;
	server->vnc.input = input;
	ret = start(server, config, err);
	if (ret < 0) {
		display_vnc_stop(&server->vnc);
		return ret;
	}
	*vnc = &server->vnc;
	return 0;
}

void display_vnc_stop(struct display_vnc *vnc)
{
	struct vnc_server *server;

	if (!vnc)
		return;
	server = server_of(vnc);
	loop_timer_cancel(&server->accept_timer);
	loop_fd_remove(&server->listener);
	unix_listen_close(&server->socket);
	if (server->port_fd >= 0)
		close(server->port_fd);
	for (unsigned i = 0; i < VNC_CLIENTS_MAX && vnc->clients[i].vnc; i++)
		vnc_client_hang_up(&vnc->clients[i]);
	for (unsigned i = 0; i < VNC_CLIENTS_MAX; i++) {
		join(&vnc->clients[i]);
		vnc_client_finish(&vnc->clients[i]);
	}
	explicit_bzero(vnc->password, sizeof(vnc->password));
	free(server);
}

struct display_vnc_stats display_vnc_stats(const struct display_vnc *vnc)
{
	struct display_vnc_stats stats = {
		.connections = atomic_load(&vnc->connections),
		.refused = atomic_load(&vnc->refused),
		.looks = atomic_load(&vnc->looks),
		.frames = atomic_load(&vnc->frames),
		.pixels = atomic_load(&vnc->pixels),
	};

	for (unsigned i = 0; i < VNC_CLIENTS_MAX; i++)
		stats.clients += atomic_load(&vnc->clients[i].is_served);
	return stats;
}
