/*
 * The screen's part of the command line: --display and --pointer (see config.h). Words and numbers
 * only: whether a window can be opened is found by who opens it.
 *
 * One thread.
 */
#include "vmm/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/backend/display.h"

/* What one --display says. */
struct display_words {
	const char *type, *vnc, *scale, *password_file;
	unsigned width, height;
	bool full_screen;
};

#define FIELD(name) .offset = offsetof(struct display_words, name)
#define FORMS	    "sdl, none, vnc=unix:PATH, vnc=[ADDRESS:]PORT"

static int parse_size(void *target, const struct opt *opt, const char *text, struct err *err);

const struct opt config_display_keys[] = {
	{.name = "type",
		.type = OPT_TEXT,
		FIELD(type),
		.value = "none|sdl",
		.help = "sdl: a window on this desktop. none: nobody looks, but the screen is "
			"there "
			"for vmm screenshot. The key itself may be left out"},
	{.name = "vnc",
		.type = OPT_TEXT,
		FIELD(vnc),
		.value = "unix:PATH|[ADDRESS:]PORT",
		.help = "for VNC viewers, at a socket or at a TCP port, of 127.0.0.1 unless "
			"ADDRESS "
			"says else"},
	{.name = "size",
		.type = OPT_CUSTOM,
		.parse = parse_size,
		.value = "WIDTHxHEIGHT",
		.help = "of the guest's screen in pixels, from 320x200 to 7680x4320. Default: "
			"1024x768. The key itself may be left out: sdl,1280x800"},
	{.name = "scale",
		.type = OPT_TEXT,
		FIELD(scale),
		.value = "integer|smooth",
		.help = "sdl: how pixels grow with the window: by whole numbers and sharp (the "
			"default), or to any size with soft edges"},
	{.name = "fullscreen",
		.type = OPT_FLAG,
		FIELD(full_screen),
		.help = "sdl: begin with the full screen"},
	{.name = "password-file",
		.type = OPT_TEXT,
		FIELD(password_file),
		.value = "FILE",
		.help = "vnc: the password stands in the first line of FILE; needed for any "
			"ADDRESS "
			"that others can reach"},
	OPT_END,
};

static int bad(struct err *err, const char *text)
{
	return err_set(err, EXIT_CODE_USAGE, EINVAL, "--display: %s", text);
}

/* ---- The size ---- */

/* Digits only, and few of them; moves *text behind them. */
static bool read_number(const char **text, unsigned *value)
{
	const char *p = *text;

	*value = 0;
	while (isdigit((unsigned char)*p) && p - *text < 6)
		*value = *value * 10 + (unsigned)(*p++ - '0');
	if (p == *text)
		return false;
	*text = p;
	return true;
}

int config_read_screen_size(const char *text, unsigned *width, unsigned *height, struct err *err)
{
	const char *p = text;

	if (!read_number(&p, width) || *p++ != 'x' || !read_number(&p, height) || *p)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"size '%.60s' is not WIDTHxHEIGHT, like 1280x800", text);
	if (*width < DISPLAY_WIDTH_MIN || *width > DISPLAY_WIDTH_MAX ||
		*height < DISPLAY_HEIGHT_MIN || *height > DISPLAY_HEIGHT_MAX)
		return err_set(err, EXIT_CODE_USAGE, ERANGE,
			"%ux%u pixels can't be had; a screen has from %dx%d to %dx%d", *width,
			*height, DISPLAY_WIDTH_MIN, DISPLAY_HEIGHT_MIN, DISPLAY_WIDTH_MAX,
			DISPLAY_HEIGHT_MAX);
	return 0;
}

static int parse_size(void *target, const struct opt *opt, const char *text, struct err *err)
{
	struct display_words *words = target;
	struct err why = ERR_INIT;
	int ret = config_read_screen_size(text, &words->width, &words->height, &why);

	(void)opt;
	return ret < 0 ? err_set(err, why.kind, -ret, "--display: %s", why.text) : 0;
}

/* An item that begins with a digit is no key: it can only be the size. */
static char *name_size(const char *text)
{
	static const char key[] = "size=";
	size_t commas = 0;
	char *result, *to;

	for (const char *p = text; *p; p++)
		commas += *p == ',';
	result = to = malloc(strlen(text) + commas * strlen(key) + 1);
	while (result && *text) {
		bool ends_item = *text == ',' && text[1] != ',';

		/* A doubled comma is one of the value. */
		if (*text == ',' && !ends_item)
			*to++ = *text++;
		*to++ = *text++;
		if (ends_item && isdigit((unsigned char)*text))
			to = stpcpy(to, key);
	}
	if (result)
		*to = '\0';
	return result;
}

/* ---- --display ---- */

static int check_type(struct display_words *words, struct err *err)
{
	static const char *const types[] = {"none", "sdl", "vnc", NULL};
	const char *nearest;

	if (words->vnc && words->type)
		return bad(err, "one --display is for a window or for VNC; give it twice for both");
	if (words->vnc)
		return 0;
	if (!words->type)
		return bad(err, "one of these is needed: " FORMS);
	if (!strcmp(words->type, "none") || !strcmp(words->type, "sdl"))
		return 0;
	nearest = opts_nearest(words->type, types);
	if (!strcmp(words->type, "gtk") || !strcmp(words->type, "window"))
		nearest = "sdl";
	if (nearest)
		err_hint(
			err, "Did you mean %s%s?", nearest, !strcmp(nearest, "vnc") ? "=PORT" : "");
	return err_set(err, EXIT_CODE_USAGE, EINVAL, "--display: '%.60s' is none of %s",
		words->type, FORMS);
}

static int check_words(struct display_words *words, struct err *err)
{
	bool is_window;
	int ret = check_type(words, err);

	if (ret < 0)
		return ret;
	is_window = words->type && !strcmp(words->type, "sdl");
	if (words->scale && strcmp(words->scale, "integer") != 0 &&
		strcmp(words->scale, "smooth") != 0)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--display: scale '%.60s' is neither integer nor smooth", words->scale);
	if ((words->scale || words->full_screen) && !is_window)
		return bad(err, "scale and fullscreen are for sdl alone");
	if (words->password_file && !words->vnc)
		return bad(err, "password-file is for vnc alone");
	return 0;
}

/* Who may listen where: wrong words are found before anything is opened. */
static int take_vnc(
	struct display_config *display, const struct display_words *words, struct err *err)
{
	struct listen_address *address = &display->vnc_address;
	int ret = listen_address_parse(address, "--display vnc", words->vnc, err);

	if (ret < 0)
		return ret;
	if (listen_address_is_public(address) && !words->password_file) {
		err_hint(err,
			"add password-file=FILE, or say vnc=unix:PATH or vnc=%u and come in "
			"by ssh -L",
			address->port);
		return err_set(err, EXIT_CODE_USAGE, EPERM,
			"--display: VNC on %s would let in anybody who reaches this host, so it "
			"needs a password",
			address->host);
	}
	display->vnc = words->vnc;
	display->password_file = words->password_file;
	return 0;
}

static int merge(struct display_config *display, const struct display_words *words, struct err *err)
{
	bool is_none = words->type && !strcmp(words->type, "none");

	if (display->count && (is_none || display->is_none))
		return bad(err, "none and another exclude each other");
	if (words->vnc ? display->vnc != NULL : display->has_window)
		return bad(err, "there can be one window and one vnc");
	if (words->width && display->width &&
		(words->width != display->width || words->height != display->height))
		return bad(err, "there is one screen, and it can have one size");
	display->is_none = is_none;
	display->has_screen = true;
	if (words->width) {
		display->width = words->width;
		display->height = words->height;
	}
	if (words->vnc)
		return take_vnc(display, words, err);
	if (!is_none) {
		display->has_window = true;
		display->smooth = words->scale && !strcmp(words->scale, "smooth");
		display->full_screen = words->full_screen;
	}
	return 0;
}

int config_parse_display(void *target, const struct opt *opt, const char *text, struct err *err)
{
	struct display_config *display = &((struct vm_config *)target)->display;
	struct display_words words = {.type = NULL};
	char *copy;
	int ret;

	(void)opt;
	if (display->count == CONFIG_DISPLAYS_MAX)
		return bad(err, "there can be one window and one vnc");
	copy = display->texts[display->count] = name_size(text);
	if (!copy)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the options");
	ret = opts_parse_keys(config_display_keys, "--display", copy, &words, err);
	if (ret >= 0)
		ret = check_words(&words, err);
	if (ret >= 0)
		ret = merge(display, &words, err);
	display->count++;
	return ret;
}

/* ---- --pointer ---- */

int config_parse_pointer(void *target, const struct opt *opt, const char *text, struct err *err)
{
	struct display_config *display = &((struct vm_config *)target)->display;

	if (strcmp(text, "tablet") != 0 && strcmp(text, "mouse") != 0)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--%s: '%.60s' is neither tablet nor mouse", opt->name, text);
	display->has_mouse = !strcmp(text, "mouse");
	return 0;
}

/* ---- Together ---- */

void config_check_display(struct vm_config *config)
{
	struct display_config *display = &config->display;

	if (!display->width) {
		display->width = DISPLAY_WIDTH_DEFAULT;
		display->height = DISPLAY_HEIGHT_DEFAULT;
	}
	/* Before the consoles get their defaults: who says one wants to read it there. */
	display->may_open = !display->count && !config->serial && !config->hvc0 &&
		!config->debugcon && !config->has_console && !config->port_count;
}

void config_choose_window(struct vm_config *config, bool is_on_desktop)
{
	struct display_config *display = &config->display;

	if (!display->may_open || !is_on_desktop)
		return;
	display->has_screen = display->has_window = display->window_is_default = true;
}

void config_finish_display(struct vm_config *config)
{
	for (unsigned i = 0; i < config->display.count; i++)
		free(config->display.texts[i]);
	config->display.count = 0;
}
