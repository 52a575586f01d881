/*
 * The options about kernels: --initrd, --flat and --boot-sector.
 */
#include "vmm/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int config_parse_initrd(void *target, const struct opt *opt, const char *text, struct err *err)
{
	struct vm_config *config = target;

	if (config->initrd_count == ARRAY_SIZE(config->initrds))
		return err_set(err, EXIT_CODE_USAGE, E2BIG, "--%s is given more than %zu times",
			opt->name, ARRAY_SIZE(config->initrds));
	config->initrds[config->initrd_count++] = text;
	return 0;
}

/* Hexadecimal with 0x in front, else decimal. */
static bool read_address(const char *text, size_t len, uint64_t *address)
{
	bool is_hex = len > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *digits = is_hex ? "0123456789abcdefABCDEF" : "0123456789";
	char copy[24];

	if (is_hex) {
		text += 2;
		len -= 2;
	}
	if (!len || len > (is_hex ? 16 : 19) || strspn(text, digits) < len)
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	*address = strtoull(copy, NULL, is_hex ? 16 : 10);
	return true;
}

int config_parse_flat(void *target, const struct opt *opt, const char *text, struct err *err)
{
	struct boot_flat *flat = &((struct vm_config *)target)->flat;
	size_t len = strcspn(text, ",");
	const char *mode = text[len] ? text + len + 1 : "64";

	(void)opt;
	if (!read_address(text, len, &flat->address))
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--flat: '%.60s' does not begin with an address like 0x100000", text);
	if (strcmp(mode, "16") != 0 && strcmp(mode, "32") != 0 && strcmp(mode, "64") != 0)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--flat: the mode '%.20s' is none of 16, 32 and 64", mode);
	flat->bits = (unsigned)strtoul(mode, NULL, 10);
	return 0;
}

int config_check_kernel(const struct vm_config *config, struct err *err)
{
	bool has_one = config->kernel || (config->boot_sector && config->disk_count);

	if (config->boot_sector && config->flat.bits)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--boot-sector and --flat exclude each other");
	if (config->flat.bits && !config->kernel)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--flat says where a --kernel goes, and there is none");
	if (config->boot_sector && !has_one)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--boot-sector needs a --disk, or a --kernel, to start it from");
	if (has_one || (!config->explain_only && (config->dump_dtb || config->dump_acpi)))
		return 0;
	err_hint(err, "For example: vmm --kernel bzImage --disk root.img");
	return err_set(
		err, EXIT_CODE_USAGE, EINVAL, "there is no --kernel, so there is nothing to boot");
}
