/*
 * Helpers of util.h that are too long to be inline. No state.
 */
#include "vmm/base/util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

void util_assert_failed(const char *expr, const char *file, int line)
{
	fprintf(stderr, "vmm: bug: %s:%d: assertion failed: %s\n", file, line, expr);
	abort();
}

void util_clean_controls(char *text, size_t len, char spared)
{
	unsigned char *at = (unsigned char *)text;

	for (size_t i = 0; i < len; i++) {
		if ((at[i] < 0x20 && at[i] != (unsigned char)spared) || at[i] == 0x7f)
			at[i] = '?';
		else if (at[i] == 0xc2 && i + 1 < len && at[i + 1] >= 0x80 && at[i + 1] < 0xa0)
			at[i] = at[i + 1] = '?';
	}
}

unsigned util_edit_distance(const char *a, const char *b)
{
	enum {
		WORD_MAX = 64
	};
	size_t len_a = strnlen(a, WORD_MAX), len_b = strnlen(b, WORD_MAX);
	unsigned rows[3][WORD_MAX + 1];
	unsigned *before = rows[0], *prev = rows[1], *cur = rows[2];

	for (size_t j = 0; j <= len_b; j++)
		prev[j] = (unsigned)j;
	for (size_t i = 1; i <= len_a; i++) {
		unsigned *recycled = before;

		cur[0] = (unsigned)i;
		for (size_t j = 1; j <= len_b; j++) {
			unsigned best = prev[j - 1] + (a[i - 1] != b[j - 1]);

			best = MIN(best, prev[j] + 1);
			best = MIN(best, cur[j - 1] + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = MIN(best, before[j - 2] + 1);
			cur[j] = best;
		}
		before = prev;
		prev = cur;
		cur = recycled;
	}
	return prev[len_b];
}

void util_format_size(uint64_t bytes, char *buf, size_t size)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1024 && unit < ARRAY_SIZE(units) - 1) {
		value /= 1024;
		unit++;
	}
	snprintf(buf, size, "%.*f %s", value == (double)(uint64_t)value ? 0 : 1, value,
		bytes == 1 ? "byte" : units[unit]);
}

typedef uint64_t lane_t __attribute__((vector_size(16), may_alias));

/* Of aligned blocks of 256 bytes. */
static bool are_blocks_zero(const void *data, uint64_t len)
{
	const lane_t *lane = data, *end = lane + len / sizeof(*lane);
	lane_t found = {0};

	for (; lane < end && !(found[0] | found[1]); lane += 16)
		found |= lane[0] | lane[1] | lane[2] | lane[3] | lane[4] | lane[5] | lane[6] |
			lane[7] | lane[8] | lane[9] | lane[10] | lane[11] | lane[12] | lane[13] |
			lane[14] | lane[15];
	return !(found[0] | found[1]);
}

bool util_is_zero(const void *data, uint64_t len)
{
	const uint8_t *bytes = data;
	bool is_aligned = (uintptr_t)data % sizeof(lane_t) == 0;
	uint64_t whole = is_aligned ? len & ~UINT64_C(255) : 0;

	if (len >= 8 && load_le64(data))
		return false;
	if (!are_blocks_zero(data, whole))
		return false;
	len -= whole;
	bytes += whole;
	return !len || (!bytes[0] && !memcmp(bytes, bytes + 1, len - 1));
}

int64_t util_pread_full(int fd, void *buf, uint64_t len, uint64_t offset)
{
	uint64_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, (char *)buf + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (uint64_t)n;
	}
	return (int64_t)done;
}

int64_t util_pwrite_full(int fd, const void *buf, uint64_t len, uint64_t offset)
{
	uint64_t done = 0;

	while (done < len) {
		ssize_t n =
			pwrite(fd, (const char *)buf + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		done += (uint64_t)n;
	}
	return (int64_t)done;
}

uint64_t util_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint8_t util_checksum(const void *data, size_t bytes)
{
	const uint8_t *p = data;
	uint8_t sum = 0;

	for (size_t i = 0; i < bytes; i++)
		sum = (uint8_t)(sum + p[i]);
	return (uint8_t)-sum;
}
