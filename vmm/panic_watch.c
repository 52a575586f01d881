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

const char *panic_watch_hint(const char *reason, bool has_disk, bool has_initrd)
{
	if (strstr(reason, "Unable to mount root fs")) {
		if (!has_disk && !has_initrd)
			return "the kernel was given no root file system: add --disk FILE or "
			       "--initrd "
			       "FILE";
		if (!has_disk)
			return "the initrd holds no /init that the kernel could run: look at it "
			       "with "
			       "vmm inspect";
		return "the kernel found no root file system: its virtio_mmio, virtio_blk and file "
		       "system drivers must be built in (=y) or come in an --initrd, and root= "
		       "must "
		       "name the right partition (see vmm inspect on the disk)";
	}
	if (strstr(reason, "No working init found") || strstr(reason, "Requested init"))
		return "the root file system was mounted but has no program to start: give "
		       "init=PATH "
		       "with --append";
	if (strstr(reason, "Attempted to kill init"))
		return "the guest's first program ended or crashed";
	if (strstr(reason, "Out of memory") || strstr(reason, "System is deadlocked on memory"))
		return "give the guest more memory with --memory";
	return NULL;
}
