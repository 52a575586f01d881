/*
 * The options about consoles: --serial, --hvc0, --debugcon, --console, --port. Words only: whether
 * the host sides can be had is found by those who open them.
 */
#include "vmm/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Host sides ---- */

int config_parse_console(void *target, const struct opt *opt, const char *text, struct err *err)
{
	static const char *const words[] = {
		"stdio", "pty", "file:PATH", "unix:PATH", "pipe:PATH", "null", "none", NULL};
	const char **field = (const char **)((char *)target + opt->offset);
	const char *nearest;
	int ret;

	*field = text;
	for (size_t i = 0; words[i]; i++) {
		size_t kind = strcspn(words[i], ":");

		if (words[i][kind] && !strncmp(text, words[i], kind + 1) && text[kind + 1])
			return 0;
		if (!words[i][kind] && !strcmp(text, words[i]))
			return 0;
	}
	ret = err_set(err, EXIT_CODE_USAGE, EINVAL, "--%s: '%.60s' is none of %s", opt->name, text,
		opt->value);
	nearest = opts_nearest(text, words);
	if (nearest)
		err_hint(err, "Did you mean %s?", nearest);
	else if (strchr(text, '/'))
		err_hint(err, "To write to a file: --%s file:%.200s", opt->name, text);
	return ret;
}

bool config_is_same_place(const char *a, const char *b)
{
	/* Each pty is a new one, and what is not there has no place. */
	return a && b && !strcmp(a, b) && strcmp(a, "pty") != 0 && strcmp(a, "none") != 0;
}

/* ---- --console ---- */

int config_parse_kernel_console(
	void *target, const struct opt *opt, const char *text, struct err *err)
{
	static const char *const words[] = {[CONSOLE_SERIAL] = "serial",
		[CONSOLE_HVC0] = "hvc0",
		[CONSOLE_BOTH] = "both",
		NULL};
	struct vm_config *config = target;
	const char *nearest;

	config->has_console = true;
	for (unsigned i = 0; words[i]; i++) {
		if (!strcmp(text, words[i])) {
			config->console = (enum kernel_console)i;
			return 0;
		}
	}
	nearest = !strcmp(text, "ttyS0") ? "serial" : opts_nearest(text, words);
	if (nearest)
		err_hint(err, "Did you mean %s?", nearest);
	return err_set(err, EXIT_CODE_USAGE, EINVAL, "--%s: '%.60s' is none of serial, hvc0, both",
		opt->name, text);
}

/* ---- --port ---- */

static int check_port_name(const struct vm_config *config, const char *name, struct err *err)
{
	size_t len = strspn(name,
		"abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	/* It becomes a file of the guest's, made by its udev. */
	if (!len || name[len] || len > CONFIG_PORT_NAME_MAX || name[0] == '.' || name[0] == '-')
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--port: '%.70s' is no name: it can have up to %d letters, digits, '.', "
			"'_' and '-', and begins with none of '.' and '-'",
			name, CONFIG_PORT_NAME_MAX);
	for (unsigned i = 0; i < config->port_count; i++)
		if (!strcmp(config->ports[i].name, name))
			return err_set(err, EXIT_CODE_USAGE, EEXIST,
				"--port: there are two ports of the name '%s'", name);
	return 0;
}

int config_parse_port(void *target, const struct opt *opt, const char *text, struct err *err)
{
	static const struct opt spec_opt = {
		.name = "port",
		.value = "NAME=stdio|pty|file:PATH|unix:PATH|pipe:PATH|null",
		.offset = offsetof(struct port_config, spec),
	};
	struct vm_config *config = target;
	struct port_config port = {0};
	char *equals;
	int ret;

	(void)opt;
	if (config->port_count == CONFIG_PORTS_MAX)
		return err_set(err, EXIT_CODE_USAGE, E2BIG, "--port is given more than %d times",
			CONFIG_PORTS_MAX);
	if (!strchr(text, '=')) {
		err_hint(err, "For example: --port agent=unix:/tmp/agent");
		return err_set(
			err, EXIT_CODE_USAGE, EINVAL, "--port: '%.60s' is no NAME=HOSTSIDE", text);
	}
	port.name = strdup(text);
	if (!port.name)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the options");
	equals = strchr(port.name, '=');
	*equals = '\0';
	ret = check_port_name(config, port.name, err);
	if (ret >= 0)
		ret = config_parse_console(&port, &spec_opt, equals + 1, err);
	if (ret >= 0 && !strcmp(port.spec, "none"))
		ret = err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--port %s=none: a port without a host side is of no use; leave it out, "
			"or say null",
			port.name);
	if (ret < 0)
		free(port.name);
	else
		config->ports[config->port_count++] = port;
	return ret;
}

void config_finish_ports(struct vm_config *config)
{
	for (unsigned i = 0; i < config->port_count; i++)
		free(config->ports[i].name);
	config->port_count = 0;
}

/* ---- Together ---- */

int config_check_consoles(struct vm_config *config, struct err *err)
{
	/* The 16550 costs an exit for each character: without need it is not there. */
	if (!config->serial)
		config->serial = config->console == CONSOLE_HVC0 ? "none" : "stdio";
	if (!config->hvc0)
		config->hvc0 = config->console == CONSOLE_SERIAL ? "none" : "stdio";
	if (config->console != CONSOLE_SERIAL && !strcmp(config->hvc0, "none"))
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--hvc0 none takes the console away that --console %s names",
			config->console == CONSOLE_BOTH ? "both" : "hvc0");
	/* One file or terminal has one writer: the same words mean the same place. */
	if (config_is_same_place(config->debugcon, config->serial))
		config->debugcon = NULL;
	return 0;
}
