/*
 * See source.h. No state; as safe for threads as the reader behind it.
 */
#include "firmware/source.h"

bool source_read(const struct source *source, uint64_t offset, void *buf, uint64_t len)
{
	return util_range_inside(offset, len, source->size) &&
		source->read(source->opaque, offset, buf, len) == (int64_t)len;
}

uint64_t source_read_some(const struct source *source, uint64_t offset, void *buf, uint64_t len)
{
	uint64_t wanted = offset < source->size ? MIN(len, source->size - offset) : 0;
	int64_t got = wanted ? source->read(source->opaque, offset, buf, wanted) : 0;
	uint64_t valid = got > 0 ? (uint64_t)got : 0;

	memset((char *)buf + valid, 0, len - valid);
	return valid;
}

static int64_t read_fd(void *opaque, uint64_t offset, void *buf, uint64_t len)
{
	return util_pread_full(*(const int *)opaque, buf, len, offset);
}

struct source source_from_fd(const int *fd, uint64_t size)
{
	return (struct source){.read = read_fd, .opaque = (void *)fd, .size = size};
}

static int64_t read_bytes(void *opaque, uint64_t offset, void *buf, uint64_t len)
{
	const struct source_bytes *bytes = opaque;

	if (offset >= bytes->size)
		return 0;
	len = MIN(len, bytes->size - offset);
	memcpy(buf, (const char *)bytes->data + offset, len);
	return (int64_t)len;
}

struct source source_from_bytes(const struct source_bytes *bytes)
{
	return (struct source){.read = read_bytes, .opaque = (void *)bytes, .size = bytes->size};
}
