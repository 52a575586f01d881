/*
 * One debugger at work: gdb's commands on a machine behind gdb_target.h. Knows no sockets and no
 * KVM: bytes come by gdb_session_feed() and leave in `out`.
 *
 * All-stop: either the debugger waits for the machine to stop (`waits`), and the only thing it can
 * say is "stop"; or the machine stands still and the debugger looks at it. Each processor is a
 * thread, numbered from 1.
 *
 * Threats
 *   what a client can send or do       limit                                where        test
 *   any packet, in any state           a table of commands, numbers and     feed         fuzz_gdb
 *                                      lengths checked
 *   long reads and writes              GDB_MEMORY_MAX, page by page         read_memory  memory
 *   registers that no processor takes  KVM refuses: an error                write_regs   registers
 *   breakpoints without end            GDB_SOFT_MAX, 4 debug registers      gdb_break.c  breaks
 *
 * Threads: one.
 * Source: Debugging with GDB, appendix "GDB Remote Serial Protocol".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/gdb_break.h"
#include "vmm/gdb_packet.h"
#include "vmm/gdb_regs.h"
#include "vmm/gdb_target.h"

enum {
	GDB_MEMORY_MAX = 4000, /* bytes of one read or write */
	GDB_TEXT_MAX = 32768,
	GDB_MONITOR_MAX = 12288, /* of one command's text */
};

/* As gdb numbers signals. */
enum gdb_signal {
	GDB_SIGNAL_INT = 2,
	GDB_SIGNAL_TRAP = 5,
	GDB_SIGNAL_SEGV = 11,
};

struct gdb_text {
	char bytes[GDB_TEXT_MAX];
	size_t len;
};

struct gdb_session {
	/* Set by the owner before gdb_session_begin(); the target is borrowed. */
	const struct gdb_target *target;
	bool has_fixed_mode; /* the description is for `fixed_mode`, whatever the processors do */
	enum cpu_mode fixed_mode;

	struct gdb_input input;
	struct gdb_out out;
	struct gdb_breaks breaks;

	/* private to gdb_session*.c and gdb_monitor.c */
	bool no_ack;
	bool knows_swbreak, knows_hwbreak; /* the client wants to be told */
	bool waits;			   /* the machine runs, as far as the debugger knows */
	bool is_over;			   /* the client said good-bye, or is none of gdb's */
	bool has_killed;		   /* the machine, and good-bye */
	unsigned cpu;			   /* of "g", "m" */
	enum cpu_mode mode;		   /* of the description that the client has */
	enum cpu_mode told_mode;	   /* it was told that this is another one */
	struct cpu_regs regs;		   /* of `regs_cpu` */
	unsigned regs_cpu;
	bool has_regs;
	unsigned stop_cpu;
	char stop_reply[96]; /* the last */
	struct {
		bool is_set, step;
		unsigned generation; /* of the breakpoints it knows */
	} debug[GDB_CPUS_MAX];
	bool runs[GDB_CPUS_MAX]; /* those that were let go last */
	char text_object;	 /* what `text` is: 'f', 't', or 0 */
	struct gdb_text text;
};

/* A debugger has come: the machine stops. */
void gdb_session_begin(struct gdb_session *session);

/*
 * Takes what a client sent, up to the end of the first packet; returns how many bytes were used.
 * There is to be room in `out`: nothing is fed while something is in it. Look at `is_over` then.
 */
size_t gdb_session_feed(struct gdb_session *session, const void *bytes, size_t len);

/* The debugger is gone: no breakpoint is left, and the machine runs. */
void gdb_session_end(struct gdb_session *session);

/* A processor may have stopped for the debugger. */
void gdb_session_look(struct gdb_session *session);

/* The machine stands still for another reason, which is told to a debugger that waits. */
void gdb_session_note_stop(
	struct gdb_session *session, unsigned cpu, enum gdb_signal signal, const char *text);

/* The machine was started afresh, with new processors and empty memory. */
void gdb_session_note_reset(struct gdb_session *session);

/* The machine has ended. */
void gdb_session_note_exit(struct gdb_session *session, int status);

/* ---- Between the files of the session ---- */

/* The registers of a processor, read when needed; NULL when it does not give them. */
const struct cpu_regs *gdb_session_regs(struct gdb_session *session, unsigned cpu);
/* Text for the debugger's user; only while it waits, or in a "monitor" command. */
void gdb_session_say(struct gdb_session *session, const char *text, size_t len);
/* Commands of "monitor". */
void gdb_monitor_run(struct gdb_session *session, const char *line);
/* Forgets what was read: registers changed. */
void gdb_session_forget_regs(struct gdb_session *session);

/* gdb_session_data.c: registers, memory, breakpoints. False: no such packet. */
bool gdb_session_data_packet(struct gdb_session *session, const char *packet, size_t len);
void gdb_session_reply_errno(struct gdb_session *session, int ret); /* "OK" or "E.." */
