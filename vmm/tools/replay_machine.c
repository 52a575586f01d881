/*
 * See replay_machine.h.
 */
#include "vmm/tools/replay_machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	DISK_BYTES = 1 << 20, /* its size is compared with what was recorded, not with this */
};

static int read_words(struct replay_machine *made, const struct trace_file *file, struct err *err)
{
	int count = 0;

	for (unsigned i = 0; i < file->fact_count; i++)
		if (!strcmp(file->facts[i].key, "word"))
			made->words[count++] = (char *)(uintptr_t)file->facts[i].value;
	return config_parse(count, made->words, &made->config, err);
}

/* An empty file that is nowhere. */
static int make_disk(struct replay_machine *made, unsigned index, struct err *err)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, DISK_BYTES) < 0) {
		int saved = errno;

		if (fd >= 0)
			close(fd);
		return err_set(err, EXIT_CODE_INTERNAL, saved, "can't make an empty disk: %s",
			strerror(saved));
	}
	made->disk_fds[index] = fd;
	snprintf(made->disk_paths[index], sizeof(made->disk_paths[index]), "/proc/self/fd/%d", fd);
	made->config.disks[index].path = made->disk_paths[index];
	made->config.disks[index].ephemeral = false;
	return 0;
}

static int replace_vsock(struct replay_machine *made, struct err *err)
{
	if (!made->config.vsock.path)
		return 0;
	snprintf(made->folder, sizeof(made->folder), "/tmp/vmm-replay.XXXXXX");
	if (!mkdtemp(made->folder)) {
		int saved = errno;

		made->folder[0] = '\0';
		return err_set(err, EXIT_CODE_INTERNAL, saved, "can't make a folder in /tmp: %s",
			strerror(saved));
	}
	snprintf(made->socket, sizeof(made->socket), "%s/vsock", made->folder);
	made->config.vsock.path = made->socket;
	return 0;
}

/*
 * A place that leads nowhere. Consoles that shared one share one again, and of others no two are
 * the same word: as many slashes as there are places make them differ. Only the serial port's has
 * input, for that of others is not recorded.
 */
static const char *nowhere(struct replay_machine *made, const char *spec)
{
	unsigned i = 0;

	if (!spec || !strcmp(spec, "none"))
		return spec;
	if (config_is_same_place(spec, made->serial))
		return "null";
	while (i < made->place_count && !config_is_same_place(spec, made->places[i].was))
		i++;
	if (i == ARRAY_SIZE(made->places))
		return "none";
	if (i == made->place_count) {
		made->places[made->place_count++].was = spec;
		snprintf(made->places[i].is, sizeof(made->places[i].is), "file:%.*sdev/null",
			(int)i + 1, "////////////////////////////////////////////////////////////");
	}
	return made->places[i].is;
}

static void replace_consoles(struct replay_machine *made)
{
	struct vm_config *config = &made->config;

	made->serial = config->serial;
	config->hvc0 = nowhere(made, config->hvc0);
	config->debugcon = nowhere(made, config->debugcon);
	for (unsigned i = 0; i < config->port_count; i++)
		config->ports[i].spec = nowhere(made, config->ports[i].spec);
	if (config->serial && strcmp(config->serial, "none") != 0)
		config->serial = "null";
}

/* Whatever of the host the recorded machine had. */
static int replace_host(struct replay_machine *made, struct err *err)
{
	struct vm_config *config = &made->config;
	int ret = replace_vsock(made, err);

	config->kernel = NULL;
	config->initrd_count = 0;
	config->trace.path = NULL;
	config->hugepages = false;
	config->on_paper = true;
	config->display.has_window = false;
	config->display.vnc = NULL;
	config->forward_count = 0;
	replace_consoles(made);
	for (unsigned i = 0; i < config->nic_count; i++) {
		made->vhost[i] = config->nics[i].kind == NET_TAP && config->nics[i].vhost;
		config->nics[i].kind = NET_NULL;
	}
	for (unsigned i = 0; ret >= 0 && i < config->disk_count; i++)
		ret = make_disk(made, i, err);
	return ret;
}

int replay_machine_make(struct replay_machine *made, const struct trace_file *file,
	const struct machine_hooks *hooks, struct err *err)
{
	struct err trouble = ERR_INIT;
	int ret;

	for (unsigned i = 0; i < ARRAY_SIZE(made->disk_fds); i++)
		made->disk_fds[i] = -1;
	ret = read_words(made, file, &trouble);
	if (ret >= 0 && (made->config.show_help || made->config.show_version))
		ret = err_set(&trouble, EXIT_CODE_IMAGE, EINVAL, "it says no machine");
	if (ret < 0)
		return err_set(err, EXIT_CODE_IMAGE, -ret,
			"the recorded command line is none that this vmm knows: %s", trouble.text);
	if (made->config.boot_sector)
		return err_set(err, EXIT_CODE_IMAGE, ENOTSUP,
			"a machine with --boot-sector can't be replayed: its firmware reads disks");
	ret = replace_host(made, err);
	if (ret >= 0)
		ret = machine_init(&made->machine, &made->config, hooks, err);
	made->is_made = ret >= 0;
	return ret;
}

void replay_machine_finish(struct replay_machine *made)
{
	if (made->is_made)
		machine_finish(&made->machine);
	for (unsigned i = 0; i < ARRAY_SIZE(made->disk_fds); i++)
		if (made->disk_fds[i] >= 0)
			close(made->disk_fds[i]);
	if (made->folder[0])
		rmdir(made->folder);
	config_finish(&made->config);
}
