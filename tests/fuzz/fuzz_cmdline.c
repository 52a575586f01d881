/*
 * The command line: words separated by zero bytes, as the kernel hands them over.
 * Whatever they are, the answer is a configuration within its limits or one
 * sentence without control characters.
 */
#include <stdlib.h>
#include <string.h>

#include "vmm/base/err.h"
#include "vmm/base/log.h"
#include "vmm/config.h"
#include "vmm/runtime_dir.h"

enum {
	WORDS_MAX = 64
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t size)
{
	ASSERT(strnlen(text, size) < size);
	for (; *text; text++)
		ASSERT((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void check_net(const struct vm_config *config)
{
	bool has_user = false;

	ASSERT(config->nic_count <= CONFIG_NICS_MAX && config->forward_count <= NET_FORWARDS_MAX);
	for (unsigned i = 0; i < config->nic_count; i++) {
		const struct nic_config *nic = &config->nics[i];
		uint8_t mac[NET_MAC_BYTES];

		ASSERT(nic->queues >= 1 && nic->queues <= NET_QUEUES_MAX);
		ASSERT(!nic->mtu || (nic->mtu >= NET_MTU_MIN && nic->mtu <= NET_MTU_MAX));
		ASSERT(nic->kind != NET_TAP || !nic->tap == (nic->fd != CONFIG_NO_FD));
		ASSERT(nic->kind != NET_SOCKET || *nic->socket);
		config_net_mac(config, i, mac);
		ASSERT(!(mac[0] & 1));
		has_user |= nic->kind == NET_USER;
	}
	ASSERT(has_user || !config->forward_count);
	for (unsigned i = 0; i < config->forward_count; i++) {
		const struct net_forward *forward = &config->forwards[i];

		ASSERT(forward->host_port && forward->guest_port);
		ASSERT(strnlen(forward->host_address, sizeof(forward->host_address)) <
			sizeof(forward->host_address));
	}
}

static void check_config(const struct vm_config *config)
{
	ASSERT(config->kernel && config->serial && config->name);
	ASSERT(config->cpus >= 1 && config->cpus <= CONFIG_CPUS_MAX);
	ASSERT(config->memory_bytes >= CONFIG_MEMORY_MIN &&
		config->memory_bytes <= CONFIG_MEMORY_MAX && config->memory_bytes % MIB == 0);
	ASSERT(config->disk_count <= CONFIG_DISKS_MAX);
	for (unsigned i = 0; i < config->disk_count; i++) {
		const struct disk_config *disk = &config->disks[i];

		ASSERT(*disk->path && !(disk->read_only && disk->ephemeral));
		ASSERT(!disk->serial || strlen(disk->serial) <= CONFIG_DISK_SERIAL_MAX);
	}
	ASSERT(strlen(config->name) <= RUNTIME_NAME_MAX);
	check_net(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct vm_config config;
	char *words[WORDS_MAX];
	int argc = 0, ret;
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	for (size_t at = 0; at < size && argc < WORDS_MAX; at += strlen(text + at) + 1)
		words[argc++] = text + at;
	ret = config_parse(argc, words, &config, &err);
	if (ret < 0) {
		ASSERT(err.kind == EXIT_CODE_USAGE && err.text[0]);
	} else {
		ASSERT(!err_is_set(&err));
		if (!config.show_help && !config.show_version)
			check_config(&config);
	}
	check_text(err.text, sizeof(err.text));
	check_text(err.hint, sizeof(err.hint));
	config_finish(&config);
	free(text);
	return 0;
}
