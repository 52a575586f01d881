/*
 * What the two ends of a nested run say to each other.
 *
 * `relay` (outside, on this machine) and `init` (inside, process 1 of the nested host) share four
 * virtio-serial ports: one for the messages below and one each for the command's standard input,
 * output and error. The three carry plain bytes and no framing, so nothing in them needs escaping;
 * how many bytes belong to the run is told by messages, which is what makes an end of file exact.
 *
 * Both ends are built from the same sources on the same machine: the records are native structs.
 */
#ifndef NESTED_PROTOCOL_H
#define NESTED_PROTOCOL_H

#include <stdint.h>

/* Port numbers: the `nr=` of each virtserialport, and the N of /dev/vport0pN. */
enum port {
	PORT_CONTROL = 1,
	PORT_STDIN = 2,
	PORT_STDOUT = 3,
	PORT_STDERR = 4,
};

enum msg_type {
	/* from relay to init */
	MSG_START = 1, /* struct msg_start, then its strings, each ended by a NUL */
	MSG_STDIN_END, /* uint64_t: standard input ends after so many bytes */
	MSG_CLOSE,     /* uint32_t: nobody reads this port's stream any more */
	MSG_SIGNAL,    /* uint32_t: send this signal to the command's process group */
	MSG_WINDOW,    /* struct msg_window: the terminal has a new size */

	/* from init to relay */
	MSG_UP,	     /* the nested host runs and has read its orders */
	MSG_BEAT,    /* still alive; once a second if asked for */
	MSG_TROUBLE, /* text: why the command could not be started; MSG_EXIT follows */
	MSG_EXIT,    /* struct msg_exit: the command ended */
};

/* A message's longest legal payload: arguments and environment are at most 2 MiB each. */
#define MSG_BYTES_MAX (8u << 20)

struct msg_head {
	uint32_t type;
	uint32_t bytes;
};

struct msg_window {
	uint16_t rows;
	uint16_t columns;
};

enum start_flags {
	START_TTY = 1 << 0,	   /* standard input and output are one pseudo-terminal */
	START_TTY_STDERR = 1 << 1, /* ... and so is standard error */
	START_BEATS = 1 << 2,	   /* send MSG_BEAT */
	START_SET_CLOCK = 1 << 3,  /* set the clock to realtime_ns */
};

/* Followed by strings: working directory, module folder (may be empty), then argc, envc, rwc. */
struct msg_start {
	uint32_t flags;
	uint32_t argc;
	uint32_t envc;
	uint32_t rwc; /* folders to mount writable, 9p tags rw0, rw1, ... */
	uint32_t uid;
	uint32_t gid;
	uint32_t kvm_gid; /* group that may open /dev/kvm; 0: everybody may */
	uint32_t umask;
	uint64_t realtime_ns;
	struct msg_window window;
};

struct msg_exit {
	uint32_t status;       /* as a shell tells it: 0-255, or 128 + signal */
	uint32_t own_failure;  /* 1: the nested host failed, not the command */
	uint64_t stdout_bytes; /* so many belong to each stream; the end waits for them */
	uint64_t stderr_bytes;
};

#endif
