/*
 * Multiboot kernels: the version that counts, and where the file goes. See inspect_impl.h. What the
 * file can say: see multiboot.c.
 */
#include <stdlib.h>

#include "firmware/inspect_impl.h"
#include "firmware/multiboot.h"

void inspect_multiboot(struct inspect_out *out, const struct source *source, const char *path)
{
	struct multiboot *multiboot = malloc(sizeof(*multiboot));
	struct err err = ERR_INIT;

	if (!multiboot)
		return;
	if (multiboot_parse(source, path, multiboot, &err) < 0) {
		inspect_line(out, "startable", "no: %s", err.text);
	} else {
		inspect_line(out, "Multiboot", "version %u%s", multiboot->version,
			multiboot->needs_screen ? ", requires a screen" : "");
		inspect_segments(out, &multiboot->image);
		inspect_line(out, "entry", "0x%x", multiboot->entry);
		inspect_line(out, "startable", "yes, by its Multiboot entry");
	}
	free(multiboot);
}
