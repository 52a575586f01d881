/*
 * What a Linux kernel tells of itself in its data: the banner and, with CONFIG_IKCONFIG, its
 * configuration, packed by gzip between the marks IKCFG_ST and IKCFG_ED. See inspect_impl.h.
 * Sources: Linux kernel/configs.c, init/version.c.
 *
 * What the data can say          limit                      enforced in         test
 * it unpacks for ever            INSPECT_UNPACK_MAX         search_source()     inspect_bombs
 * a configuration without end    CONFIG_PACKED_MAX          gather()            inspect_config_of_any_kind
 * one that unpacks for ever      CONFIG_MAX                 search_config()     inspect_config_of_any_kind
 * marks across two pieces        the window keeps a rest    put()               inspect_finds_marks_anywhere
 */
#include <errno.h>
#include <stdlib.h>

#include "firmware/inspect_impl.h"

enum {
	PIECE_BYTES = 64 * 1024,
	KEEP_BYTES = 256, /* of the window: more than a banner, or a mark */
	CONFIG_PACKED_MAX = 1 << 20,
	CONFIG_MAX = 8 << 20,
};

static const char banner_mark[] = "Linux version ";
static const char config_start[] = "IKCFG_ST", config_end[] = "IKCFG_ED";

struct inspect_search *inspect_search_create(void)
{
	struct inspect_search *search = calloc(1, sizeof(*search));

	if (!search)
		return NULL;
	search->window = malloc(KEEP_BYTES + PIECE_BYTES);
	search->config = malloc(CONFIG_PACKED_MAX);
	if (search->window && search->config)
		return search;
	inspect_search_destroy(search);
	return NULL;
}

void inspect_search_destroy(struct inspect_search *search)
{
	if (!search)
		return;
	free(search->window);
	free(search->config);
	free(search);
}

/*
 * The first banner that begins in the window's first `starts` bytes; "Linux version %s" is a format
 * and none.
 */
static void find_banner(struct inspect_search *search, size_t starts)
{
	const size_t mark = sizeof(banner_mark) - 1;
	const uint8_t *from = search->window, *end = search->window + search->window_bytes;
	const uint8_t *last = search->window + MIN(starts + mark, search->window_bytes);

	while (!search->banner[0] && from < last) {
		const uint8_t *hit = memmem(from, (size_t)(last - from), banner_mark, mark);
		size_t used = 0;

		if (!hit || hit + mark >= end)
			return;
		from = hit + mark;
		if (*from < '0' || *from > '9')
			continue;
		while (hit + used < end && used < sizeof(search->banner) - 1 && hit[used] >= ' ' &&
			hit[used] <= '~')
			used++;
		memcpy(search->banner, hit, used);
	}
}

/* Behind the start mark: up to the end mark, which may lie across two pieces. */
static void gather(struct inspect_search *search, const uint8_t *from, size_t len)
{
	const size_t mark = sizeof(config_end) - 1;
	size_t take = MIN(len, CONFIG_PACKED_MAX - search->config_bytes);
	size_t look = search->config_bytes < mark ? 0 : search->config_bytes - mark;
	const uint8_t *hit;

	memcpy(search->config + search->config_bytes, from, take);
	search->config_bytes += take;
	hit = memmem(search->config + look, search->config_bytes - look, config_end, mark);
	if (hit) {
		search->config_bytes = (size_t)(hit - search->config);
		search->config_is_whole = true;
	}
}

/* Looks at the window; a hit in its last bytes is left for the next time, unless it `is_last`. */
static void look(struct inspect_search *search, bool is_last)
{
	const size_t mark = sizeof(config_start) - 1;
	size_t rest = is_last ? 0 : MIN(search->window_bytes, (size_t)KEEP_BYTES);
	size_t done = search->window_bytes - rest;
	const uint8_t *hit;

	if (!search->banner[0])
		find_banner(search, done);
	if (search->has_config) {
		if (!search->config_is_whole)
			gather(search, search->window, done);
	} else {
		hit = memmem(search->window, MIN(done + mark - 1, search->window_bytes),
			config_start, mark);
		if (hit) {
			search->has_config = true;
			hit += mark;
			if (hit < search->window + done)
				gather(search, hit, (size_t)(search->window + done - hit));
			else
				done = (size_t)(hit - search->window);
		}
	}
	search->window_bytes -= done;
	memmove(search->window, search->window + done, search->window_bytes);
}

static int put(void *opaque, uint64_t offset, const void *data, uint64_t len)
{
	struct inspect_search *search = opaque;
	const uint8_t *from = data;

	if (offset < sizeof(search->head))
		memcpy(search->head + offset, from, MIN(len, sizeof(search->head) - offset));
	search->size = offset + len;
	while (len) {
		size_t part = (size_t)MIN(len, (uint64_t)PIECE_BYTES);

		memcpy(search->window + search->window_bytes, from, part);
		search->window_bytes += part;
		look(search, false);
		from += part;
		len -= part;
	}
	return 0;
}

static int read_plain(
	struct inspect_search *search, const struct source *source, uint64_t offset, uint64_t len)
{
	uint8_t *buf = malloc(PIECE_BYTES);

	len = MIN(len, INSPECT_UNPACK_MAX);
	for (uint64_t done = 0; buf && done < len;) {
		uint64_t got = source_read_some(
			source, offset + done, buf, MIN(len - done, (uint64_t)PIECE_BYTES));

		if (!got)
			break;
		put(search, done, buf, got);
		done += got;
	}
	free(buf);
	return buf ? 0 : -ENOMEM;
}

int inspect_search_source(struct inspect_search *search, const struct source *source,
	enum unpack_format format, uint64_t offset, uint64_t len)
{
	const struct unpack_sink sink = {.put = put, .opaque = search, .limit = INSPECT_UNPACK_MAX};
	uint64_t unpacked;
	int ret;

	if (format == UNPACK_NONE)
		ret = read_plain(search, source, offset, len);
	else
		ret = unpack_load(format, NULL)
			? unpack_stream(format, source, offset, len, &sink, &unpacked)
			: -ENOTSUP;
	look(search, true);
	return ret;
}

/* ---- The configuration ---- */

struct text {
	char *bytes;
	size_t len;
};

static int put_text(void *opaque, uint64_t offset, const void *data, uint64_t len)
{
	struct text *text = opaque;

	memcpy(text->bytes + offset, data, len);
	text->len = offset + len;
	return 0;
}

int inspect_search_config(const struct inspect_search *search, char **result, size_t *len)
{
	struct source_bytes bytes = {.data = search->config, .size = search->config_bytes};
	struct source source = source_from_bytes(&bytes);
	struct text text = {.bytes = malloc(CONFIG_MAX)};
	const struct unpack_sink sink = {.put = put_text, .opaque = &text, .limit = CONFIG_MAX};
	uint64_t unpacked;
	int ret = -ENOENT;

	if (!text.bytes)
		return -ENOMEM;
	if (search->config_is_whole)
		ret = unpack_load(UNPACK_GZIP, NULL)
			? unpack_stream(UNPACK_GZIP, &source, 0, source.size, &sink, &unpacked)
			: -ENOTSUP;
	if (ret < 0) {
		free(text.bytes);
		return ret;
	}
	*result = text.bytes;
	*len = text.len;
	return 0;
}
