/*
 * The command line of `relay`, which scripts/with-kvm writes. Knows nothing of what is done with
 * it. One thread.
 */
#include "relay.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum option_code {
	OPT_QEMU = 1,
	OPT_RW,
	OPT_MODULES,
	OPT_LOG,
	OPT_USER,
	OPT_KVM_GID,
	OPT_LIMIT,
	OPT_UP_LIMIT,
	OPT_DETERMINISTIC,
	OPT_NO_TTY
};

static const struct option options[] = {
	{"qemu", required_argument, NULL, OPT_QEMU}, /* so many arguments are QEMU's command line */
	{"rw", required_argument, NULL, OPT_RW},
	{"modules", required_argument, NULL, OPT_MODULES},
	{"log", required_argument, NULL, OPT_LOG},
	{"user", required_argument, NULL, OPT_USER}, /* UID:GID */
	{"kvm-gid", required_argument, NULL, OPT_KVM_GID},
	{"time-limit", required_argument, NULL, OPT_LIMIT}, /* seconds */
	{"up-limit", required_argument, NULL, OPT_UP_LIMIT},
	{"deterministic", no_argument, NULL, OPT_DETERMINISTIC},
	{"no-tty", no_argument, NULL, OPT_NO_TTY},
	{0},
};

static void usage_error(const char *what) __attribute__((noreturn));
static void usage_error(const char *what)
{
	say("relay: %s: this program is called by scripts/with-kvm", what);
	exit(EXIT_OWN_FAILURE);
}

static void take_option(struct request *request, int code, int *qemu_count)
{
	switch (code) {
	case OPT_QEMU:
		*qemu_count = atoi(optarg);
		break;
	case OPT_RW:
		for (char **slot = request->writable;; slot++) {
			if (!*slot) {
				*slot = optarg;
				break;
			}
		}
		break;
	case OPT_MODULES:
		request->modules = optarg;
		break;
	case OPT_LOG:
		request->log_path = optarg;
		break;
	case OPT_USER:
		if (sscanf(optarg, "%u:%u", &request->uid, &request->gid) != 2)
			usage_error(optarg);
		break;
	case OPT_KVM_GID:
		request->kvm_gid = (uint32_t)strtoul(optarg, NULL, 10);
		break;
	case OPT_LIMIT:
		request->limit_ms = strtoull(optarg, NULL, 10) * 1000;
		break;
	case OPT_UP_LIMIT:
		request->up_limit_ms = strtoull(optarg, NULL, 10) * 1000;
		break;
	case OPT_DETERMINISTIC:
		request->deterministic = true;
		break;
	case OPT_NO_TTY:
		request->never_tty = true;
		break;
	default:
		usage_error("unknown option");
	}
}

void request_parse(struct request *request, int argc, char **argv)
{
	int code, qemu_count = 0;

	request->modules = "";
	request->up_limit_ms = 60000;
	request->writable = calloc((size_t)argc + 1, sizeof(*request->writable));
	request->qemu = calloc((size_t)argc + 1, sizeof(*request->qemu));
	if (!request->writable || !request->qemu)
		usage_error("out of memory");
	while ((code = getopt_long(argc, argv, "+", options, NULL)) != -1)
		take_option(request, code, &qemu_count);
	if (qemu_count < 1 || qemu_count >= argc - optind)
		usage_error("no command");
	memcpy(request->qemu, argv + optind, (size_t)qemu_count * sizeof(*argv));
	request->command = argv + optind + qemu_count;
}
