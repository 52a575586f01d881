/*
 * --print-cmdline: the command by which a peer runs the same guest. A peer's file writes the command
 * to stdout and says on stderr, through log.h, what has no equal there. For vmm_print_cmdline.c.
 */
#pragma once

#include "vmm/config.h"

struct peer_machine {
	const struct vm_config *config;
	const char *cmdline; /* of the kernel, whole */
	bool is_linux;	     /* else the kernel is a boot sector or a flat binary */
};

/* True where QEMU's machine is so like vmm's that the words for the kernel are the same. */
bool peer_qemu_is_alike(const struct vm_config *config);
void peer_print_qemu(const struct peer_machine *machine);
void peer_print_firecracker(const struct peer_machine *machine);
void peer_print_vmm(const struct peer_machine *machine);

/* ---- For them ---- */

/* A command over several lines: peer_option() begins a new one. */
void peer_command(const char *program);
void peer_option(const char *format, ...) PRINTF_LIKE(1, 2);
/* Its value, as one word of a shell. */
void peer_value(const char *format, ...) PRINTF_LIKE(1, 2);
/* The same of a path, whose commas are doubled, between two texts. */
void peer_value_path(const char *before, const char *path, const char *after);
void peer_end(void);

/* "02:..." of card `index`. */
#define PEER_MAC_CHARS 18
const char *peer_mac(const struct vm_config *config, unsigned index, char text[PEER_MAC_CHARS]);

/* A copy, to be freed, in which each comma stands twice: as QEMU and vmm want it in a value. */
char *peer_double_commas(const char *text);

/* What the peer has no equal for. */
#define peer_note(...) log_warn(__VA_ARGS__)
