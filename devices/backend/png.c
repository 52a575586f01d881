/*
 * See png.h. Portable Network Graphics, second edition (ISO/IEC 15948): signature and chunks (5),
 * IHDR and IDAT (11.2), RFC 1950 inside. All rows are of filter type 0: text and flat areas, which
 * screens are made of, pack as well as with the others.
 *
 * Threads: any. The library is loaded once and stays.
 */
#include "devices/backend/png.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "vmm/base/util.h"

enum {
	PIXEL_BYTES = 3,
	CHUNK_DATA_BYTES = 64 * 1024,
	CHUNK_HEAD_BYTES = 8, /* length and type */
	CRC_BYTES = 4,
	COLOUR_TYPE_RGB = 2,
	NAME_TRIES = 100,
};

/* ---- The library ---- */

static struct {
	__typeof__(&deflateInit_) deflate_init;
	__typeof__(&deflate) deflate;
	__typeof__(&deflateEnd) deflate_end;
	__typeof__(&crc32) crc32;
} lib;

static bool is_loaded;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
	const struct {
		const char *name;
		void *slot;
	} symbols[] = {{"deflateInit_", &lib.deflate_init}, {"deflate", &lib.deflate},
		{"deflateEnd", &lib.deflate_end}, {"crc32", &lib.crc32}};
	void *handle = dlopen("libz.so.1", RTLD_NOW | RTLD_LOCAL);

	is_loaded = handle;
	for (size_t i = 0; is_loaded && i < ARRAY_SIZE(symbols); i++) {
		void *symbol = dlsym(handle, symbols[i].name);

		memcpy(symbols[i].slot, &symbol, sizeof(symbol));
		is_loaded = symbol;
	}
}

/* ---- Chunks ---- */

struct writer {
	int fd;
	const char *name;
	struct err *err;
	z_stream z;
	uint8_t *row;	/* filter type and pixels */
	uint8_t *chunk; /* room for head, data and CRC; the data is being filled */
};

static int write_all(struct writer *w, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = write(w->fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(w->err, EXIT_CODE_INTERNAL, errno, "can't write to %s: %s",
				w->name, strerror(errno));
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static void store_be32(uint8_t *to, uint32_t value)
{
	store_le32(to, __builtin_bswap32(value));
}

/* `chunk` holds `len` bytes of data behind its head. */
static int write_chunk(struct writer *w, const char *type, uint8_t *chunk, uint32_t len)
{
	uLong crc;

	store_be32(chunk, len);
	memcpy(chunk + 4, type, 4);
	crc = lib.crc32(0, chunk + 4, len + 4);
	store_be32(chunk + CHUNK_HEAD_BYTES + len, (uint32_t)crc);
	return write_all(w, chunk, CHUNK_HEAD_BYTES + len + CRC_BYTES);
}

static int write_head(struct writer *w, const struct display_image *image)
{
	static const uint8_t signature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
	uint8_t chunk[CHUNK_HEAD_BYTES + 13 + CRC_BYTES] = {0}, *data = chunk + CHUNK_HEAD_BYTES;
	int ret = write_all(w, signature, sizeof(signature));

	store_be32(data, image->width);
	store_be32(data + 4, image->height);
	data[8] = 8; /* bits */
	data[9] = COLOUR_TYPE_RGB;
	return ret < 0 ? ret : write_chunk(w, "IHDR", chunk, 13);
}

/* ---- Pixels ---- */

static void start_chunk(struct writer *w)
{
	w->z.next_out = w->chunk + CHUNK_HEAD_BYTES;
	w->z.avail_out = CHUNK_DATA_BYTES;
}

/* Packs what is in next_in; with Z_FINISH to the end of the stream. */
static int pack(struct writer *w, int flush)
{
	for (;;) {
		int status = w->z.avail_out ? lib.deflate(&w->z, flush) : Z_OK;
		bool is_done = flush == Z_FINISH ? status == Z_STREAM_END : !w->z.avail_in;
		uint32_t used = CHUNK_DATA_BYTES - w->z.avail_out;

		ASSERT(status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR);
		if (!w->z.avail_out || (is_done && flush == Z_FINISH && used)) {
			int ret = write_chunk(w, "IDAT", w->chunk, used);

			if (ret < 0)
				return ret;
			start_chunk(w);
		}
		if (is_done)
			return 0;
	}
}

static int pack_rows(struct writer *w, const struct display_image *image)
{
	int ret = 0;

	w->row[0] = 0; /* filter type: none */
	for (uint32_t y = 0; ret >= 0 && y < image->height; y++) {
		const uint32_t *from = image->xrgb + (size_t)y * image->width;
		uint8_t *to = w->row + 1;

		for (uint32_t x = 0; x < image->width; x++) {
			*to++ = (uint8_t)(from[x] >> 16);
			*to++ = (uint8_t)(from[x] >> 8);
			*to++ = (uint8_t)from[x];
		}
		w->z.next_in = w->row;
		w->z.avail_in = (uInt)(to - w->row);
		ret = pack(w, Z_NO_FLUSH);
	}
	return ret < 0 ? ret : pack(w, Z_FINISH);
}

static int write_image(struct writer *w, const struct display_image *image)
{
	uint8_t end[CHUNK_HEAD_BYTES + CRC_BYTES];
	int ret = write_head(w, image);

	start_chunk(w);
	if (ret >= 0)
		ret = pack_rows(w, image);
	return ret < 0 ? ret : write_chunk(w, "IEND", end, 0);
}

int png_write(int fd, const char *name, const struct display_image *image, struct err *err)
{
	struct writer w = {.fd = fd, .name = name, .err = err};
	int ret;

	pthread_once(&once, load);
	if (!is_loaded) {
		err_hint(err, "Install Debian's package zlib1g");
		return err_set(err, EXIT_CODE_INTERNAL, ENOENT,
			"no picture can be packed: the library libz.so.1 is not installed");
	}
	w.row = malloc(1 + (size_t)image->width * PIXEL_BYTES);
	w.chunk = malloc(CHUNK_HEAD_BYTES + CHUNK_DATA_BYTES + CRC_BYTES);
	if (!w.row || !w.chunk ||
		lib.deflate_init(&w.z, Z_DEFAULT_COMPRESSION, ZLIB_VERSION, sizeof(w.z)) != Z_OK) {
		ret = err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory to pack a picture");
	} else {
		ret = write_image(&w, image);
		lib.deflate_end(&w.z);
	}
	free(w.row);
	free(w.chunk);
	return ret;
}

/* ---- Files ---- */

static int write_and_close(
	int fd, const char *path, const struct display_image *image, struct err *err)
{
	int ret = png_write(fd, path, image, err);

	/* What a full disk refuses may be told only now. */
	if (close(fd) < 0 && ret >= 0)
		ret = err_set(err, EXIT_CODE_INTERNAL, errno, "can't write to %s: %s", path,
			strerror(errno));
	return ret;
}

static int fail_open(const char *path, struct err *err)
{
	return err_set(err, EXIT_CODE_INTERNAL, errno, "can't make the file %s: %s", path,
		strerror(errno));
}

/* A file beside `path` that nobody else has; its name goes to `name`. */
static int open_beside(const char *path, char *name, size_t size)
{
	int fd = -1;

	for (unsigned i = 0; fd < 0 && i < NAME_TRIES; i++) {
		snprintf(name, size, "%s.part-%d-%u", path, (int)getpid(), i);
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd < 0 && errno != EEXIST)
			break;
	}
	return fd;
}

static int save_regular(const char *path, const struct display_image *image, struct err *err)
{
	size_t size = strlen(path) + 40;
	char *part = malloc(size);
	int fd, ret;

	if (!part)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for a file's name");
	fd = open_beside(path, part, size);
	if (fd < 0) {
		ret = fail_open(path, err);
	} else {
		ret = write_and_close(fd, path, image, err);
		if (ret >= 0 && rename(part, path) < 0)
			ret = fail_open(path, err);
		if (ret < 0)
			unlink(part);
	}
	free(part);
	return ret;
}

int png_save(const char *path, const struct display_image *image, struct err *err)
{
	struct stat st;
	int fd;

	if (stat(path, &st) < 0 || S_ISREG(st.st_mode))
		return save_regular(path, image, err);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 ? fail_open(path, err) : write_and_close(fd, path, image, err);
}
