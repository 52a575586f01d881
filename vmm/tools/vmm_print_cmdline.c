/*
 * vmm --print-cmdline PEER OPTION...: see peer.h. The disks are only read, and without their locks,
 * so that the command of a machine that runs can be printed.
 */
#include "vmm/tools/peer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "firmware/boot.h"
#include "firmware/cmdline.h"
#include "firmware/image.h"
#include "vmm/base/log.h"
#include "vmm/machine_cmdline.h"
#include "vmm/tools/tool.h"

/* ---- Words of a shell ---- */

void peer_command(const char *program)
{
	fputs(program, stdout);
}

void peer_option(const char *format, ...)
{
	va_list args;

	fputs(" \\\n    ", stdout);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
}

void peer_value(const char *format, ...)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_@%+=:,./-";
	va_list args;
	char *text;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	if (len < 0)
		return;
	putchar(' ');
	if (*text && !text[strspn(text, plain)]) {
		fputs(text, stdout);
	} else {
		putchar('\'');
		for (const char *c = text; *c; c++)
			if (*c == '\'')
				fputs("'\\''", stdout);
			else
				putchar(*c);
		putchar('\'');
	}
	free(text);
}

void peer_end(void)
{
	putchar('\n');
}

char *peer_double_commas(const char *text)
{
	char *result = malloc(2 * strlen(text) + 1), *to = result;

	while (result && *text) {
		if (*text == ',')
			*to++ = ',';
		*to++ = *text++;
	}
	if (result)
		*to = '\0';
	return result;
}

void peer_value_path(const char *before, const char *path, const char *after)
{
	char *doubled = peer_double_commas(path);

	peer_value("%s%s%s", before, doubled ? doubled : "", after);
	free(doubled);
}

const char *peer_mac(const struct vm_config *config, unsigned index, char text[PEER_MAC_CHARS])
{
	uint8_t mac[NET_MAC_BYTES];

	config_net_mac(config, index, mac);
	snprintf(text, PEER_MAC_CHARS, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		mac[3], mac[4], mac[5]);
	return text;
}

/* ---- The machine ---- */

struct files {
	int fds[CONFIG_DISKS_MAX];
	struct machine_cmdline_disk disks[CONFIG_DISKS_MAX];
};

static int open_disks(const struct vm_config *config, struct files *files, struct err *err)
{
	for (unsigned i = 0; i < config->disk_count; i++) {
		uint64_t size;

		files->fds[i] = image_open(config->disks[i].path, "disk", true, &size, err);
		if (files->fds[i] < 0)
			return files->fds[i];
		files->disks[i] = (struct machine_cmdline_disk){
			.source = source_from_fd(&files->fds[i], size),
			.read_only = config->disks[i].read_only,
		};
	}
	return 0;
}

static int check_kernel(const struct vm_config *config, bool *is_linux, struct err *err)
{
	const struct boot_config boot_config = {
		.kernel_path = config->kernel,
		.initrd_paths = config->initrds,
		.initrd_count = config->initrd_count,
		.flat = config->flat,
		.boot_sector = config->boot_sector,
	};
	struct boot *boot;
	int ret = boot_open(&boot, &boot_config, err);

	*is_linux = ret == 0 && !boot_is_own(boot);
	boot_close(boot);
	return ret;
}

static int print(const struct vm_config *config, struct err *err)
{
	static char cmdline[CMDLINE_MAX];
	static struct files files;
	struct peer_machine machine = {.config = config, .cmdline = cmdline};
	struct machine_cmdline_facts facts = {
		.has_screen = config->display.has_screen,
		.has_serial = strcmp(config->serial, "none") != 0,
		.has_hvc0 = strcmp(config->hvc0, "none") != 0,
		.disks = files.disks,
	};
	int ret = check_kernel(config, &machine.is_linux, err);

	facts.is_linux = machine.is_linux;
	facts.is_elsewhere = config->peer == PEER_QEMU && !peer_qemu_is_alike(config);
	if (ret == 0)
		ret = open_disks(config, &files, err);
	if (ret == 0)
		ret = machine_cmdline_build(config, &facts, cmdline, sizeof(cmdline), err);
	if (ret < 0)
		return ret;
	switch (config->peer) {
	case PEER_QEMU:
		peer_print_qemu(&machine);
		break;
	case PEER_FIRECRACKER:
		peer_print_firecracker(&machine);
		break;
	default:
		peer_print_vmm(&machine);
		break;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	struct vm_config config;
	int ret = config_parse(MAX(argc - 1, 0), argv + MIN(argc, 1), &config, &err);

	if (ret == 0) {
		if (config.quiet)
			log_set_level(LOG_ERROR);
		ret = print(&config, &err);
	}
	config_finish(&config);
	return tool_finish(ret < 0 ? (int)err.kind : EXIT_CODE_OK, &err);
}
