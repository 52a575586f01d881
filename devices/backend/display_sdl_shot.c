/*
 * See display_sdl_impl.h. The screenshot that the window's own key makes: a file in the folder in
 * which vmm was started, named by machine and time. Never takes the place of another file.
 */
#include "devices/backend/display_sdl_impl.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "devices/backend/png.h"
#include "vmm/base/log.h"

enum {
	SAME_SECOND_MAX = 100
};

/* A machine's name is a file's name too, but for what a folder's would be. */
static void name_file(const struct display_sdl *self, unsigned nth, char *path, size_t size)
{
	char when[32] = "", number[16] = "";
	time_t now = time(NULL);
	struct tm tm;

	if (localtime_r(&now, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d-%H%M%S", &tm);
	if (nth)
		snprintf(number, sizeof(number), "-%u", nth + 1);
	snprintf(path, size, "%s-%s%s.png", self->name[0] ? self->name : "vmm", when, number);
	for (char *at = path; *at; at++)
		if (*at == '/' || (unsigned char)*at < ' ')
			*at = '_';
}

void display_sdl_save_picture(struct display_sdl *self)
{
	char path[DISPLAY_SDL_NAME_MAX + 80];
	struct display_image image;
	struct err err = ERR_INIT;
	unsigned nth = 0;
	int ret = display_copy_image(self->display, &image);

	if (ret == -ENODATA) {
		display_sdl_note(self, "There is no picture to save now");
		return;
	}
	if (ret >= 0) {
		do {
			name_file(self, nth, path, sizeof(path));
		} while (access(path, F_OK) == 0 && ++nth < SAME_SECOND_MAX);
		ret = png_save(path, &image, &err);
		display_image_finish(&image);
	}
	if (ret < 0) {
		log_error("no screenshot: %s", err_is_set(&err) ? err.text : strerror(-ret));
		display_sdl_note(self, "The screenshot could not be saved:\n%s",
			err_is_set(&err) ? err.text : strerror(-ret));
		return;
	}
	log_info("screenshot: %s", path);
	display_sdl_note(self, "Saved %s", path);
}
