/*
 * See config.h: the options of the small virtio devices.
 */
#include "vmm/config.h"

#include <errno.h>

int config_check_balloon(const struct vm_config *config, struct err *err)
{
	if (!config->balloon_keep_bytes)
		return 0;
	if (config->no_balloon)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--balloon and --no-balloon exclude each other");
	if (config->hugepages)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--balloon can't work with --hugepages: the guest gives up pages of 4 KiB, "
			"and the host can take back 2 MiB at once only");
	if (config->balloon_keep_bytes > config->memory_bytes)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--balloon: the guest can't keep more than all of its --memory");
	return 0;
}
