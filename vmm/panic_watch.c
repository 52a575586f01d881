/*
 * See panic_watch.h. The words are those of panic() in Linux, stable for decades.
 */
#include "vmm/panic_watch.h"

#include <stdio.h>
#include <string.h>

#include "vmm/base/util.h"

static void end_line(struct panic_watch *watch)
{
	static const char mark[] = "Kernel panic - not syncing: ";
	const char *found;

	watch->line[watch->line_len] = '\0';
	found = strstr(watch->line, mark);
	/* The closing "---[ end Kernel panic" repeats the words: the first reason stands. */
	if (found && !strstr(watch->line, "---[ end ")) {
		snprintf(watch->reason, sizeof(watch->reason), "%s", found + strlen(mark));
		watch->lines_since = 0;
	} else if (watch->reason[0]) {
		watch->lines_since++;
	}
	if (watch->line_len)
		memcpy(watch->before, watch->line, watch->line_len + 1);
	watch->line_len = 0;
}

void panic_watch_feed(struct panic_watch *watch, const void *data, size_t len)
{
	const char *p = data;

	for (size_t i = 0; i < len; i++) {
		if (p[i] == '\n')
			end_line(watch);
		else if (p[i] && p[i] != '\r' && watch->line_len < sizeof(watch->line) - 1)
			watch->line[watch->line_len++] = p[i];
	}
}

void panic_watch_reset(struct panic_watch *watch)
{
	*watch = (struct panic_watch){0};
}

const char *panic_watch_reason(const struct panic_watch *watch)
{
	return watch->reason[0] && watch->lines_since <= PANIC_WATCH_LINES ? watch->reason : NULL;
}

const char *panic_watch_last_line(struct panic_watch *watch)
{
	watch->line[watch->line_len] = '\0';
	return watch->line[0] ? watch->line : watch->before;
}

static void hint_of_root(
	bool has_disk, bool has_initrd, enum guest_driver driver, char *hint, size_t size)
{
	char advice[200];

	if (!has_disk && !has_initrd) {
		snprintf(hint, size,
			"the kernel was given no root file system: add --disk FILE or --initrd "
			"FILE");
	} else if (!has_disk) {
		snprintf(hint, size,
			"the initrd holds no /init that the kernel could run: look at it with vmm "
			"inspect");
	} else if (driver == GUEST_DRIVER_READY) {
		snprintf(hint, size,
			"the disk has its driver, so root= names the wrong partition (vmm inspect "
			"on the disk shows them), or the file system's driver is not built in "
			"(=y)");
	} else {
		guest_driver_advise(driver, "virtio-blk", advice, sizeof(advice));
		snprintf(hint, size, "no driver works on the disk: %s", advice);
	}
}

bool panic_watch_hint(const char *reason, bool has_disk, bool has_initrd, enum guest_driver driver,
	char *hint, size_t size)
{
	hint[0] = '\0';
	if (strstr(reason, "Unable to mount root fs"))
		hint_of_root(has_disk, has_initrd, driver, hint, size);
	else if (strstr(reason, "No working init found") || strstr(reason, "Requested init"))
		snprintf(hint, size,
			"the root file system was mounted but has no program to start: give "
			"init=PATH with --append");
	else if (strstr(reason, "Attempted to kill init"))
		snprintf(hint, size, "the guest's first program ended or crashed");
	else if (strstr(reason, "Out of memory") ||
		strstr(reason, "System is deadlocked on memory"))
		snprintf(hint, size, "give the guest more memory with --memory");
	return hint[0];
}
