/*
 * Small helpers that everything may use: assertions, checked arithmetic,
 * little-endian loads and stores on unaligned bytes, bit and size helpers.
 * Knows nothing of the machine. No state, safe from any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define NORETURN	  __attribute__((noreturn))

/* The struct of type `type` that holds `ptr` as its member `member`. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/*
 * A bug of ours. Always compiled in; the expression must have no side effect.
 * Never used on anything that a guest, a file or the command line can choose.
 */
#define ASSERT(expr)                                                                               \
	do {                                                                                       \
		if (__builtin_expect(!(expr), 0))                                                  \
			util_assert_failed(#expr, __FILE__, __LINE__);                             \
	} while (0)

NORETURN void util_assert_failed(const char *expr, const char *file, int line);

#define MIN(a, b)                                                                                  \
	({                                                                                         \
		__typeof__(a) min_a_ = (a);                                                        \
		__typeof__(b) min_b_ = (b);                                                        \
		min_a_ < min_b_ ? min_a_ : min_b_;                                                 \
	})
#define MAX(a, b)                                                                                  \
	({                                                                                         \
		__typeof__(a) max_a_ = (a);                                                        \
		__typeof__(b) max_b_ = (b);                                                        \
		max_a_ > max_b_ ? max_a_ : max_b_;                                                 \
	})

/* True when the sum or product does not fit; the result then is not to be used. */
static inline bool util_add_overflows(uint64_t a, uint64_t b, uint64_t *sum)
{
	return __builtin_add_overflow(a, b, sum);
}

static inline bool util_mul_overflows(uint64_t a, uint64_t b, uint64_t *product)
{
	return __builtin_mul_overflow(a, b, product);
}

/* The byte with which the sum of all, which it is not yet part of, is 0. */
uint8_t util_checksum(const void *data, size_t bytes);

/* True when [offset, offset + len) lies inside [0, size). No overflow. */
static inline bool util_range_inside(uint64_t offset, uint64_t len, uint64_t size)
{
	return offset <= size && len <= size - offset;
}

/* `align` is a power of two; the caller has excluded overflow. */
static inline uint64_t util_align_up(uint64_t value, uint64_t align)
{
	return (value + align - 1) & ~(align - 1);
}

static inline uint64_t util_align_down(uint64_t value, uint64_t align)
{
	return value & ~(align - 1);
}

static inline bool util_is_power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

/* Little-endian values at any alignment. This program runs on x86-64 only. */
static inline uint16_t load_le16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t load_le32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t load_le64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void store_le16(void *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void store_le32(void *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void store_le64(void *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

/*
 * The low `size` bytes of `value` (size 1, 2, 4 or 8): what an access of that
 * width carries.
 */
static inline uint64_t util_low_bytes(uint64_t value, unsigned size)
{
	return size >= 8 ? value : value & ((UINT64_C(1) << (size * 8)) - 1);
}

/*
 * Replaces by '?' what could command a terminal: ASCII's control characters but for
 * `spared` (0: none), and the C1 set in UTF-8 (0xc2 0x80 to 0xc2 0x9f), as two.
 */
void util_clean_controls(char *text, size_t len, char spared);

/*
 * Edit distance between two short words (at most 64 characters count), for
 * "did you mean". Insert, delete, change and swap of neighbours cost one each.
 */
unsigned util_edit_distance(const char *a, const char *b);

/* "22.3 MiB", for people: rounded, without decimals where it is whole. */
void util_format_size(uint64_t bytes, char *buf, size_t size);

/* All of the bytes are zero. Quick where the first are not, and for whole pages. */
bool util_is_zero(const void *data, uint64_t len);

/*
 * Write or read the whole buffer, going on after EINTR and short transfers.
 * util_read_full stops at end of file. Result: bytes moved or -errno.
 * Offsets are in bytes.
 */
int64_t util_pread_full(int fd, void *buf, uint64_t len, uint64_t offset);
int64_t util_pwrite_full(int fd, const void *buf, uint64_t len, uint64_t offset);

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t util_now_ns(void);
