/*
 * Verbs that are programs of their own (TOOL_TABLE in verbs.h): they run no machine themselves, so
 * nothing of them is in the program that does.
 *
 * One thread.
 */
#pragma once

#include <stddef.h>

#include "vmm/base/err.h"

/*
 * Becomes the tool `name` with the words argv[0] to argv[argc - 1]. It is looked for beside this
 * program: in libexec/vmm below its folder (where it is built) and below the folder above (where
 * it is installed). The tool finds this program's path in the environment, as VMM.
 * Returns only when that fails: -errno and a sentence.
 */
int tool_exec(const char *name, int argc, char *const *argv, struct err *err);
