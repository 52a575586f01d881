/*
 * One picture of vmm top: what a machine did between two answers to "stat", as lines of text. Knows
 * nothing of terminals or sockets. No state; one thread.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "vmm/runtime_dir.h"

struct top_machine {
	char name[RUNTIME_NAME_MAX + 1];
	char *text;		      /* the answer; NULL: it did not answer */
	char *before;		      /* the one before that, or NULL: rates are since the start */
	uint64_t asked_ns, before_ns; /* when (util_now_ns()) */
};

/* Lines for one machine, without control characters; about 80 columns wide. */
void top_view_machine(const struct top_machine *machine, FILE *out);

/* "1.2K", "34M": what people call a thousand or a million of something. At most 5 characters. */
void top_view_short(double value, char *text, size_t size);
