/*
 * What a machine answers to "stat" (vmm/vm_stat.c): lines KEY=VALUE with dots in the keys. It need
 * not be a vmm in good health that answers: nothing is believed but the form, and what is not
 * printable is shown as '?'. No state; one thread.
 *
 * What it can say                  limit                      enforced in         test
 * lines that are no KEY=VALUE      skipped                    next_line           no_lines
 * keys with any number of dots     STAT_DEPTH_MAX             stat_text_json      deep_keys
 * numbers that are none, too big   0, UINT64_MAX              stat_text_number    numbers
 * bytes that are no text           '?', escaped               put_string          odd_bytes
 * more processors than it lists    the answer ends            stat_ask            -
 * one processor in each answer     ANSWERS_MAX                ask_all             test_running.sh
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "vmm/base/err.h"
#include "vmm/runtime_dir.h"

enum {
	STAT_DEPTH_MAX = 4,
	STAT_KEY_MAX = 64,
};

/* The number behind PREFIX + KEY=; 0 when there is none. */
uint64_t stat_text_number(const char *text, const char *prefix, const char *key);

/* True, and the prefix "cpu.3." of the nth group of lines below `group` ("cpu."), or false. */
bool stat_text_group(const char *text, const char *group, unsigned nth, char prefix[STAT_KEY_MAX]);

/* As one JSON object, with an object for what has a common beginning up to a dot. */
void stat_text_json(const char *text, FILE *out);

/*
 * Asks a running machine for all of it: *text is the caller's to free. -ENOENT and the like without
 * a sentence when `dir` is given (the machine may have ended), else with one.
 */
int stat_ask(const struct runtime_dir *dir, const char *name, unsigned patience_ms, char **text,
	struct err *err);
