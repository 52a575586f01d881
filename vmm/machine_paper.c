/*
 * See machine_paper.h. The main thread; no guest runs.
 */
#include "vmm/machine_paper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "firmware/acpi_files.h"
#include "firmware/fdt.h"
#include "vmm/core/explain.h"
#include "vmm/machine.h"

/* ---- A platform of paper ---- */

static void ignore_level(struct irq_line *line, bool level)
{
	(void)line;
	(void)level;
}

static void ignore_pulse(struct irq_line *line)
{
	(void)line;
}

static int connect_nothing(
	void *opaque, unsigned gsi, bool level, struct irq_line *line, struct err *err)
{
	(void)opaque;
	(void)level;
	(void)err;
	*line = (struct irq_line){.set = ignore_level, .pulse = ignore_pulse, .gsi = gsi};
	return 0;
}

static int map_nothing(void *opaque, uint64_t addr, void *host, uint64_t size, struct err *err)
{
	(void)opaque;
	(void)addr;
	(void)host;
	(void)size;
	(void)err;
	return 0;
}

static void unmap_nothing(void *opaque, int number)
{
	(void)opaque;
	(void)number;
}

static int take_nothing(void *opaque, int number, uint64_t *bitmap)
{
	(void)opaque;
	(void)number;
	(void)bitmap;
	return -ENODEV;
}

static void ignore_request(void *opaque, enum machine_request request, int value)
{
	(void)opaque;
	(void)request;
	(void)value;
}

const struct platform_ops machine_paper_ops = {
	.irq_connect = connect_nothing,
	.memory_map = map_nothing,
	.memory_unmap = unmap_nothing,
	.memory_take_dirty = take_nothing,
	.request = ignore_request,
};

/* ---- Files ---- */

static int write_file(
	const char *option, const char *path, const uint8_t *data, size_t len, struct err *err)
{
	bool is_stdout = !strcmp(path, "-");
	int fd = is_stdout ? STDOUT_FILENO
			   : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	int ret = fd < 0 ? -errno : 0;

	for (size_t done = 0; ret == 0 && done < len;) {
		ssize_t n = write(fd, data + done, len - done);

		if (n < 0 && errno != EINTR)
			ret = -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0 && !is_stdout && close(fd) < 0 && ret == 0)
		ret = -errno;
	if (ret < 0)
		return err_set(err, EXIT_CODE_DEVICE, -ret, "%s: can't write to %.200s: %s", option,
			is_stdout ? "standard output" : path, strerror(-ret));
	return 0;
}

static int dump_tree(const struct machine *machine, struct err *err)
{
	uint8_t *tree = malloc(FDT_BYTES_MAX);
	size_t bytes;
	int ret;

	if (!tree)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the device tree");
	ret = machine_build_tree(machine, tree, FDT_BYTES_MAX, &bytes, err);
	if (ret >= 0)
		ret = write_file("--dump-dtb", machine->config->dump_dtb, tree, bytes, err);
	free(tree);
	return ret;
}

struct acpi_folder {
	const char *path;
	struct err *err;
};

static int write_table(void *opaque, const char *name, const uint8_t *table, size_t len)
{
	struct acpi_folder *folder = opaque;
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", folder->path, name);
	return write_file("--dump-acpi", path, table, len, folder->err);
}

static int dump_acpi(const struct machine *machine, struct err *err)
{
	struct acpi_folder folder = {machine->config->dump_acpi, err};

	if (mkdir(folder.path, 0777) < 0 && errno != EEXIST)
		return err_set(err, EXIT_CODE_DEVICE, errno,
			"--dump-acpi: can't make the folder %.200s: %s", folder.path,
			strerror(errno));
	return machine_build_acpi(machine, write_table, &folder, err);
}

/* ---- What is asked of a machine that does not run ---- */

int machine_paper_run(struct vm_config *config, struct err *err)
{
	struct machine *machine = calloc(1, sizeof(*machine));
	int ret, explained;

	if (!machine)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the machine");
	/* Only where nothing else is wanted is KVM told about as well. */
	config->on_paper = !config->explain_only || access("/dev/kvm", R_OK | W_OK) < 0;
	ret = machine_init(machine, config, &(struct machine_hooks){0}, err);
	if (ret >= 0) {
		if (config->dump_dtb)
			ret = dump_tree(machine, err);
		if (ret >= 0 && config->dump_acpi)
			ret = dump_acpi(machine, err);
		if (ret >= 0 && config->explain_only)
			ret = machine_prepare(machine, err);
		machine_finish(machine);
	}
	explained = explain_stop();
	if (ret >= 0 && explained < 0)
		ret = err_set(err, EXIT_CODE_INTERNAL, -explained,
			"--explain: not all of it could be written: %s", strerror(-explained));
	free(machine);
	return ret;
}
