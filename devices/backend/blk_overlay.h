/*
 * A disk whose writes are thrown away: they go to a file without a name that ends
 * with the process, and the base below is only read. For blk*.c; others use blk_open().
 */
#pragma once

#include "devices/backend/blk.h"

/*
 * Lies over any backend and owns `base` from then on (not after an error). The file is made
 * in $TMPDIR, or /var/tmp, and takes the room of what the guest writes. Error: -errno and a
 * sentence of kind EXIT_CODE_IMAGE.
 */
int blk_overlay_create(struct blk **blk, struct blk *base, struct loop *loop, struct err *err);
