/*
 * See config.h: the options of the small virtio devices, of what tells about the start, of the
 * trace and of the watchdog.
 */
#include "vmm/config.h"

#include <errno.h>

const struct opt config_vsock_keys[] = {
	{.name = "cid",
		.type = OPT_NUMBER,
		.offset = offsetof(struct vsock_config, cid),
		.min = 3,
		.max = UINT32_MAX - 1,
		.value = "N",
		.help = "the guest's address, 3 if it is left out; the host's is 2"},
	{.name = "path",
		.type = OPT_TEXT,
		.offset = offsetof(struct vsock_config, path),
		.value = "PATH",
		.help = "the host's side: a program connects to the socket PATH, writes CONNECT "
			"PORT and reads OK; the guest's connections to port P of the host go to "
			"the socket PATH_P"},
	OPT_END,
};

int config_parse_vsock(void *target, const struct opt *opt, const char *text, struct err *err)
{
	struct vsock_config *vsock = &((struct vm_config *)target)->vsock;
	int ret;

	(void)opt;
	vsock->cid = 3;
	vsock->text = strdup(text);
	if (!vsock->text)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the options");
	ret = opts_parse_keys(config_vsock_keys, "--vsock", vsock->text, vsock, err);
	if (ret < 0)
		return ret;
	if (!vsock->path)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--vsock needs a place for the host's side: --vsock path=PATH");
	return 0;
}

int config_check_balloon(const struct vm_config *config, struct err *err)
{
	if (!config->balloon_keep_bytes)
		return 0;
	if (config->no_balloon)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--balloon and --no-balloon exclude each other");
	if (config->hugepages)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--balloon can't work with --hugepages: what goes back to the pool might "
			"be missing when the guest wants it again");
	if (config->balloon_keep_bytes > config->memory_bytes)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--balloon: the guest can't keep more than all of its --memory");
	return 0;
}

const struct opt config_trace_keys[] = {
	{.name = "path",
		.type = OPT_TEXT,
		.offset = offsetof(struct trace_option, path),
		.value = "FILE",
		.help = "where to; the key itself may be left out when it stands first"},
	{.name = "record",
		.type = OPT_FLAG,
		.offset = offsetof(struct trace_option, record),
		.help = "and what devices were told and answered, for vmm replay"},
	OPT_END,
};

int config_parse_trace(void *target, const struct opt *opt, const char *text, struct err *err)
{
	struct trace_option *trace = &((struct vm_config *)target)->trace;
	int ret;

	(void)opt;
	trace->text = strdup(text);
	if (!trace->text)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the options");
	ret = opts_parse_keys(config_trace_keys, "--trace", trace->text, trace, err);
	if (ret < 0)
		return ret;
	if (!trace->path)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--trace needs a FILE: --trace FILE[,record]");
	return 0;
}

int config_parse_boot_timer(void *target, const struct opt *opt, const char *text, struct err *err)
{
	struct vm_config *config = target;

	(void)opt;
	if (strcmp(text, "text") != 0 && strcmp(text, "json") != 0)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--boot-timer: '%.60s' is neither text nor json", text);
	config->boot_timer = *text == 't' ? BOOT_TIMER_TEXT : BOOT_TIMER_JSON;
	return 0;
}

int config_parse_explain(void *target, const struct opt *opt, const char *text, struct err *err)
{
	struct vm_config *config = target;

	(void)opt;
	(void)err;
	config->explain = text;
	return 0;
}

int config_parse_watchdog(void *target, const struct opt *opt, const char *text, struct err *err)
{
	struct vm_config *config = target;
	size_t len = strcspn(text, ",");
	char seconds[24];

	(void)opt;
	config->has_watchdog = true;
	config->watchdog_ms = 0;
	config->watchdog_ends = false;
	if (!strcmp(text, "off"))
		return 0;
	if (text[len] && strcmp(text + len, ",exit") != 0)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--watchdog: '%.60s' is neither off, nor seconds, nor seconds with ,exit",
			text);
	if (len >= sizeof(seconds))
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--watchdog: '%.60s' is no number of seconds", text);
	memcpy(seconds, text, len);
	seconds[len] = '\0';
	config->watchdog_ends = text[len];
	return opts_parse_seconds(
		"--watchdog", seconds, 100, CONFIG_SECONDS_MAX * 1000u, &config->watchdog_ms, err);
}

int config_parse_peer(void *target, const struct opt *opt, const char *text, struct err *err)
{
	static const char *const words[] = {[PEER_NONE] = "none",
		[PEER_QEMU] = "qemu",
		[PEER_FIRECRACKER] = "firecracker",
		[PEER_VMM] = "vmm"};
	struct vm_config *config = target;

	for (unsigned i = PEER_QEMU; i < ARRAY_SIZE(words); i++)
		if (!strcmp(text, words[i]))
			config->peer = (enum peer)i;
	if (config->peer == PEER_NONE)
		return err_set(err, EXIT_CODE_USAGE, EINVAL, "--%s: '%.60s' is none of %s",
			opt->name, text, opt->value);
	return 0;
}
