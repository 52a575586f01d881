/*
 * The host's side of a virtio-vsock device: UNIX stream sockets, as Firecracker names them.
 *
 *	PATH     listens: a host program connects, writes "CONNECT PORT\n" and reads
 *	         "OK HOSTPORT\n" once the guest has accepted; from then on it talks to the guest's PORT
 *	PATH_P   is where a connection of the guest to port P of the host goes
 *
 * Knows nothing of packets and credit: a struct vsock_sock is one connection whose bytes the
 * device moves by itself, and which says when it may be worth to try. Sockets never block. The file
 * has mode 0600: whoever can connect reaches the guest's ports. A left-over file is replaced, one
 * that somebody listens on is an error, and ours goes away with vsock_close().
 *
 * Threads: the loop's, with the client's lock held; vsock_sock_… from any thread that holds it.
 * The memory of a closed connection stays until vsock_close(), for the loop may still look at it.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm/base/err.h"
#include "vmm/core/loop.h"

struct vsock_host;

struct vsock_sock {
	void *owner; /* the client's */
	/* private to vsock.c */
	struct vsock_host *host;
	struct loop_fd watch; /* fd -1: closed */
	struct vsock_sock *next;
	bool handshaking;
};

struct vsock_client {
	/*
	 * A host program wants the guest's `port`. The connection is the client's now: true; or it
	 * is refused.
	 */
	bool (*asked)(void *opaque, struct vsock_sock *sock, uint32_t port);
	/* One that is watched is ready (EPOLLIN, EPOLLOUT), or has hung up (EPOLLHUP, EPOLLERR). */
	void (*ready)(void *opaque, struct vsock_sock *sock, uint32_t events);
	void *opaque;
	pthread_mutex_t *lock;
};

enum {
	VSOCK_PATH_MAX = 96, /* PATH_4294967295 has to fit into a socket's name */
	VSOCK_HANDSHAKES_MAX = 64,
	/* Of one machine, in all; or a quarter of what ulimit -n allows, if that is less. */
	VSOCK_CONNECTIONS_MAX = 1024 + VSOCK_HANDSHAKES_MAX,
};

/* Listens at `path`. Error: -errno and a sentence. vsock_close(NULL) is legal. */
int vsock_open(struct vsock_host **host, const char *path, struct loop *loop, struct err *err);
void vsock_close(struct vsock_host *host);

/* Nobody is let in before. vsock_detach() closes all connections. */
int vsock_attach(struct vsock_host *host, const struct vsock_client *client, struct err *err);
void vsock_detach(struct vsock_host *host);

/* A connection to PATH_port, not watched; NULL when nobody takes it, or there are too many. */
struct vsock_sock *vsock_connect(struct vsock_host *host, uint32_t port);

/* Tells the program behind PATH that its connection stands. */
void vsock_sock_accept(struct vsock_sock *sock, uint32_t host_port);

/* EPOLLIN, EPOLLOUT, EPOLLRDHUP; 0: hang-ups are not told either. */
void vsock_sock_watch(struct vsock_sock *sock, uint32_t events);

/* Bytes moved; 0 from receive: the other side has ended; -EAGAIN; another -errno: it is gone. */
int64_t vsock_sock_send(struct vsock_sock *sock, struct iovec *iov, unsigned count);
int64_t vsock_sock_receive(struct vsock_sock *sock, struct iovec *iov, unsigned count);

/* SHUT_RD or SHUT_WR, as shutdown(2). */
void vsock_sock_shutdown(struct vsock_sock *sock, int how);
void vsock_sock_close(struct vsock_sock *sock);
