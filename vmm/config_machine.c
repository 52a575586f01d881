/*
 * The options about the kind of machine: --machine, and --dump-dtb. What a profile leaves out is
 * decided in machine_profile.c; here are the defaults of other options that follow from it, and
 * what can't go together.
 */
#include "vmm/config.h"

#include <errno.h>
#include <string.h>

int config_parse_machine(void *target, const struct opt *opt, const char *text, struct err *err)
{
	static const char *const words[] = {[PROFILE_PC] = "pc", [PROFILE_MICRO] = "micro", NULL};
	struct vm_config *config = target;
	const char *nearest;

	for (unsigned i = 0; words[i]; i++) {
		if (!strcmp(text, words[i])) {
			config->profile = (enum machine_profile)i;
			return 0;
		}
	}
	nearest = opts_nearest(text, words);
	if (nearest)
		err_hint(err, "Did you mean %s?", nearest);
	return err_set(err, EXIT_CODE_USAGE, EINVAL, "--%s: '%.60s' is none of %s", opt->name, text,
		opt->value);
}

static int refuse(const char *what, const char *why, struct err *err)
{
	return err_set(
		err, EXIT_CODE_USAGE, EINVAL, "%s can't go with --machine micro: %s", what, why);
}

int config_check_machine(struct vm_config *config, struct err *err)
{
	if (config->profile != PROFILE_MICRO)
		return 0;
	if (config->display.has_screen)
		return refuse("--display", "that machine has no screen", err);
	if (config->display.has_mouse)
		return refuse("--pointer mouse", "that machine has no screen to point at", err);
	if (config->rtc_base_s >= 0)
		return refuse("--rtc-base",
			"its guest gets the time from KVM's clock, which is the host's", err);
	if (config->debugcon && strcmp(config->debugcon, "none") != 0)
		return refuse("--debugcon", "that machine has no debug console", err);
	/* A window that nobody asked for would show nothing. */
	config->display.may_open = false;
	if (!config->has_console)
		config->console = CONSOLE_HVC0;
	/* What is there costs time at the start: only what was asked for. */
	config->no_balloon = !config->balloon_keep_bytes;
	config->no_rng = true;
	return 0;
}
