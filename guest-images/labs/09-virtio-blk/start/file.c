/* Reads files of a ustar archive, some day. */
#include "blk.h"

/* Step 6 */
long file_read(const char *name, void *buffer, unsigned size)
{
	(void)name;
	(void)buffer;
	(void)size;
	return -1;
}
