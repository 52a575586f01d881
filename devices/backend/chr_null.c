/*
 * The console that leads nowhere: output vanishes, there is no input.
 * Threads: see chr.h.
 */
#include <errno.h>
#include <stdlib.h>

#include "devices/backend/chr_impl.h"

static int64_t null_write(struct chr *chr, const void *data, size_t len)
{
	(void)chr;
	(void)data;
	return (int64_t)len;
}

static void null_close(struct chr *chr)
{
	chr_finish(chr);
	free(chr);
}

static const struct chr_ops null_ops = {.write = null_write, .close = null_close};

int chr_null_open(struct chr **out, const char *path, struct loop *loop, struct err *err)
{
	struct chr *chr = calloc(1, sizeof(*chr));
	int ret;

	(void)path;
	if (!chr)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for a console");
	ret = chr_init(chr, &null_ops, loop, CHR_INPUT_BYTES, false, err);
	if (ret < 0) {
		free(chr);
		return ret;
	}
	chr_set_name(chr, "null");
	*out = chr;
	return 0;
}
