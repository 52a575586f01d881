/*
 * See machine_cmdline.h. The words themselves, and when they are left out: firmware/cmdline.c.
 */
#include "vmm/machine_cmdline.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "firmware/cmdline.h"
#include "firmware/disk_probe.h"
#include "vmm/base/log.h"
#include "vmm/core/explain.h"
#include "vmm/machine_profile.h"

/* The first disk with a root file system on it: its name in the guest goes to `name`. */
static bool find_root(const struct vm_config *config, const struct machine_cmdline_facts *facts,
	char *name, size_t size, struct cmdline_request *request)
{
	struct disk_info *info = malloc(sizeof(*info));
	bool found = false;

	for (unsigned i = 0; info && !found && i < config->disk_count; i++) {
		disk_probe(&facts->disks[i].source, info);
		found = disk_root_device(info, i, name, size, &request->root_read_only);
		request->root_read_only |= facts->disks[i].read_only;
		request->gpt_damaged = found && info->gpt_backup_used;
	}
	free(info);
	return found;
}

/*
 * Who opened a window or a server and has no terminal here expects to type there; on a terminal,
 * or with nobody at the screen, input stays where it is without one.
 */
static void choose_consoles(const struct vm_config *config,
	const struct machine_cmdline_facts *facts, struct cmdline_request *request)
{
	const struct display_config *display = &config->display;

	request->screen = facts->has_screen;
	request->screen_is_last =
		request->screen && (display->has_window || display->vnc) && !isatty(STDIN_FILENO);
	/* What opens /dev/console before the driver of hvc0 is there finds a screen nobody sees. */
	if (config->console == CONSOLE_HVC0 && !request->screen)
		request->console = "tty0";
	else if (config->console != CONSOLE_HVC0 && facts->has_serial)
		request->console = "ttyS0";
	if (config->console != CONSOLE_SERIAL)
		request->last_console = "hvc0";
	if (!facts->has_hvc0 && cmdline_has(config->append, "console=hvc0"))
		log_warn("--append says console=hvc0, but there is no hvc0: --console hvc0 makes "
			 "one");
}

static int copy_words(const char *words, char *buf, size_t size, struct err *err)
{
	size_t len = strlen(words);

	if (len >= size)
		return err_set(err, EXIT_CODE_USAGE, E2BIG,
			"--append has %zu characters; there is room for %zu", len, size - 1);
	memcpy(buf, words, len + 1);
	explain_head("The kernel's words");
	explain("%s", len ? words : "none: --append gives some");
	return 0;
}

int machine_cmdline_build(const struct vm_config *config, const struct machine_cmdline_facts *facts,
	char *buf, size_t size, struct err *err)
{
	char root[32];
	struct cmdline_request request = {.user = config->append,
		.more = facts->is_elsewhere ? NULL : machine_profile_words(config)};
	int ret;

	if (!facts->is_linux)
		return copy_words(config->append ? config->append : "", buf, size, err);
	choose_consoles(config, facts, &request);
	/* A person who says root= knows better, and the disk need not be read. */
	if (!cmdline_has(config->append, "root") &&
		find_root(config, facts, root, sizeof(root), &request))
		request.root = root;
	explain_head("The kernel's command line (kernel: Documentation/admin-guide/"
		     "kernel-parameters.rst)");
	ret = cmdline_build(&request, buf, size, err);
	if (ret >= 0)
		log_debug("kernel command line: %s", buf);
	return ret;
}

void machine_cmdline_describe_words(const struct vm_config *config, char *text, size_t size)
{
	const char *const *words = machine_profile_words(config);
	size_t len = 0;

	text[0] = '\0';
	/* This profile's words are part of what the machine is. */
	if (config->profile == PROFILE_MICRO)
		return;
	for (; *words && len < size; words++)
		if (!cmdline_has_name_of(config->append, *words))
			len += (size_t)snprintf(
				text + len, size - len, "%s%s", len ? " " : "", *words);
}
