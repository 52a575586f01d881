/*
 * Writes a picture as PNG: 8 bits for each of red, green and blue. By zlib, loaded when the first
 * picture is written.
 *
 * Any thread. Errors are -errno and a sentence.
 */
#pragma once

#include "devices/backend/display.h"
#include "vmm/base/err.h"

/* To an open file from its position on; `name` is for the sentences. */
int png_write(int fd, const char *name, const struct display_image *image, struct err *err);

/*
 * To the file `path`: whole or not at all, in place of one that is there. It is written beside
 * and then renamed; what is no regular file (a FIFO, /dev/stdout) is written to as it is.
 */
int png_save(const char *path, const struct display_image *image, struct err *err);
