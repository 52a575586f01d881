/*
 * vmm screenshot (see running.h): asks a machine for its pixels, which come as an open file, and
 * packs them here. What answers need not be a vmm in good health, so its words are checked.
 */
#include "vmm/running.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/backend/png.h"
#include "vmm/control_client.h"

static int refuse_answer(const char *name, struct err *err)
{
	return err_set(err, EXIT_CODE_NAME, EPROTO,
		"the machine %s gives no picture that this vmm understands", name);
}

static bool read_side(
	const struct control_answer *answer, const char *key, uint32_t max, uint32_t *side)
{
	size_t len = 0;
	const char *text = control_find_value(answer->text, key, &len);
	char number[8] = "";
	uint64_t value;

	if (!text || !len || len >= sizeof(number))
		return false;
	memcpy(number, text, len);
	if (opts_parse_number(key, number, 1, max, &value, NULL) < 0)
		return false;
	*side = (uint32_t)value;
	return true;
}

static int read_pixels(const char *name, const struct control_answer *answer, int fd,
	struct display_image *image, struct err *err)
{
	uint64_t bytes;

	if (fd < 0 || !read_side(answer, "width", DISPLAY_WIDTH_MAX, &image->width) ||
		!read_side(answer, "height", DISPLAY_HEIGHT_MAX, &image->height))
		return refuse_answer(name, err);
	bytes = (uint64_t)image->width * image->height * DISPLAY_PIXEL_BYTES;
	image->xrgb = malloc(bytes);
	if (!image->xrgb)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the picture");
	if (util_pread_full(fd, image->xrgb, bytes, 0) != (int64_t)bytes)
		return refuse_answer(name, err);
	return 0;
}

static int fetch(const char *name, struct display_image *image, struct err *err)
{
	struct control_answer *answer = malloc(sizeof(*answer));
	struct control_link link = {.fd = -1, .pidfd = -1};
	int fd = -1;
	int ret = answer ? control_open(&link, name, err)
			 : err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for an answer");

	if (ret == 0)
		ret = control_ask_file(&link, "screenshot", CONTROL_PATIENCE_MS, answer, &fd, err);
	if (ret == 0)
		ret = read_pixels(name, answer, fd, image, err);
	if (fd >= 0)
		close(fd);
	control_close(&link);
	free(answer);
	return ret;
}

int run_screenshot(int argc, char *const *argv, struct err *err)
{
	struct display_image image = {.xrgb = NULL};
	struct running_words words;
	bool to_stdout;
	int ret;

	if (running_parse("screenshot", NULL, argc, argv, NULL, &words, 2, 2,
		    "a NAME and a FILE (or - for standard output)", err) < 0)
		return (int)err->kind;
	to_stdout = !strcmp(words.at[1], "-");
	if (to_stdout && isatty(STDOUT_FILENO)) {
		err_set(err, EXIT_CODE_USAGE, EINVAL,
			"screenshot: a picture would spoil this terminal; name a FILE, or send "
			"standard output somewhere else");
		return EXIT_CODE_USAGE;
	}
	ret = fetch(words.at[0], &image, err);
	if (ret == 0)
		ret = to_stdout ? png_write(STDOUT_FILENO, "standard output", &image, err)
				: png_save(words.at[1], &image, err);
	display_image_finish(&image);
	return ret < 0 ? (int)err->kind : EXIT_CODE_OK;
}
