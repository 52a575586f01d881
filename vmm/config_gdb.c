/*
 * See config.h: --gdb and --gdb-wait.
 */
#include "vmm/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct opt config_gdb_keys[] = {
	{.name = "place",
		.type = OPT_TEXT,
		.offset = offsetof(struct gdb_place, place),
		.value = "unix:PATH|tcp:[ADDRESS:]PORT",
		.help = "where gdb connects: a socket of this user's alone, or a TCP port, of "
			"127.0.0.1 "
			"unless ADDRESS says else. The key itself may be left out"},
	{.name = "arch",
		.type = OPT_TEXT,
		.offset = offsetof(struct gdb_place, arch),
		.value = "auto|16|32|64",
		.help = "what gdb takes the guest's code for. auto, the default: what the guest "
			"runs when gdb connects"},
	{.name = "open",
		.type = OPT_FLAG,
		.offset = offsetof(struct gdb_place, is_open),
		.help = "allow an ADDRESS that others can reach: whoever connects has the whole "
			"guest, and no password is asked for"},
	OPT_END,
};

static int parse_arch(struct gdb_place *gdb, struct err *err)
{
	static const char *const words[] = {
		[CPU_MODE_16] = "16", [CPU_MODE_32] = "32", [CPU_MODE_64] = "64"};

	if (!gdb->arch || !strcmp(gdb->arch, "auto"))
		return 0;
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(gdb->arch, words[i]) != 0)
			continue;
		gdb->config.has_fixed_mode = true;
		gdb->config.fixed_mode = (enum cpu_mode)i;
		return 0;
	}
	return err_set(err, EXIT_CODE_USAGE, EINVAL,
		"--gdb: arch '%.60s' is none of auto, 16, 32 and 64", gdb->arch);
}

static int parse_place(struct gdb_place *gdb, struct err *err)
{
	static const char tcp[] = "tcp:";
	const char *place = gdb->place ? gdb->place : GDB_PLACE_DEFAULT;
	struct listen_address *address = &gdb->config.address;
	int ret;

	if (!strncmp(place, tcp, strlen(tcp)))
		place += strlen(tcp);
	ret = listen_address_parse(address, "--gdb", place, err);
	if (ret < 0 || gdb->is_open || !listen_address_is_public(address))
		return ret;
	err_hint(err,
		"listen on unix:PATH or on this host alone (tcp:%u) and come in by ssh -L, or add "
		"the word open",
		address->port);
	return err_set(err, EXIT_CODE_USAGE, EPERM,
		"--gdb: on %s anybody who reaches this host would have the whole guest, without a "
		"password",
		address->host);
}

int config_parse_gdb(void *target, const struct opt *opt, const char *text, struct err *err)
{
	struct gdb_place *gdb = &((struct vm_config *)target)->gdb;
	int ret;

	(void)opt;
	gdb->is_asked_for = true;
	gdb->text = strdup(text);
	if (!gdb->text)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the options");
	ret = opts_parse_keys(config_gdb_keys, "--gdb", gdb->text, gdb, err);
	if (ret >= 0)
		ret = parse_arch(gdb, err);
	return ret < 0 ? ret : parse_place(gdb, err);
}

int config_check_gdb(struct vm_config *config, struct err *err)
{
	struct gdb_place *gdb = &config->gdb;

	if (!gdb->waits || gdb->is_asked_for)
		return 0;
	gdb->is_asked_for = true;
	return parse_place(gdb, err);
}

void config_finish_gdb(struct vm_config *config)
{
	free(config->gdb.text);
	config->gdb.text = NULL;
}
