/*
 * What the verbs that are programs of their own (vmm/tool_exec.h) have in common. One thread.
 */
#pragma once

#include "vmm/base/err.h"
#include "vmm/base/opts.h"

/*
 * Reads the words of `vmm VERB FILE [OPTION...]`, in any order; FILE is due and goes to *file.
 * Error: -EINVAL and a sentence of kind EXIT_CODE_USAGE.
 */
int tool_parse(const struct opt *options, const char *verb, int argc, char *const *argv,
	void *target, const char **file, struct err *err);

/*
 * Prints the sentence of `err`, if there is one, and gives back what main() has to: `status`, or
 * EXIT_CODE_INTERNAL when standard output did not take everything.
 */
int tool_finish(int status, struct err *err);
