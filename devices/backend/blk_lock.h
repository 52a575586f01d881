/*
 * The lock that keeps two programs from using one disk image: an open file
 * description lock on the whole file, which ends with the last descriptor, however the
 * program ends.
 */
#pragma once

#include <stdbool.h>

#include "vmm/base/err.h"

/*
 * Locks the file behind `fd`: `exclusive` for a writer, else shared with other readers. A file
 * system without locks is told in a warning and is no error. Error: -EBUSY and a
 * sentence of kind EXIT_CODE_IMAGE that names who has it, as far as /proc tells.
 */
int blk_lock_file(int fd, const char *path, bool exclusive, struct err *err);
