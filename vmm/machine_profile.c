/*
 * See machine_profile.h. The loop's thread, before a guest runs.
 */
#include "vmm/machine_profile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "firmware/fdt.h"
#include "vmm/machine.h"

/* ---- Devices ---- */

static bool is_one_of(const char *name, const char *const *names)
{
	for (size_t i = 0; names[i]; i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

bool machine_profile_allows(enum machine_profile profile, const struct device_class *class)
{
	/* ACPI does what this device is for. */
	static const char *const not_in_pc[] = {"power", NULL};
	/* By name what is old; what is virtio is there when it is asked for. */
	static const char *const in_micro[] = {"power", "reset-port", "serial", NULL};

	if (profile == PROFILE_PC)
		return !is_one_of(class->name, not_in_pc);
	return is_one_of(class->name, in_micro) || !strncmp(class->name, "virtio-", 7);
}

/* ---- What the kernel is told ---- */

const char *const *machine_profile_words(const struct vm_config *config)
{
	static const char *const nothing[] = {NULL};
	/*
	 * Reset by port 0xcf9, for there is neither an ACPI register nor an 8042; and at once:
	 * taking leave of an interrupt controller that ends as well costs about 4 million
	 * instructions. Looking for a serial port that is not there costs 1.5 million.
	 * guest-images/micro/README.md has words that turned out to be worth nothing.
	 */
	static const char *const micro[] = {"reboot=p,force", "8250.nr_uarts=0", NULL};
	static const char *const micro_with_serial[] = {"reboot=p,force", NULL};

	if (config->profile != PROFILE_MICRO)
		return nothing;
	return strcmp(config->serial, "none") ? micro_with_serial : micro;
}

/* ---- On paper ---- */

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

const struct platform_ops machine_profile_paper_ops = {
	.irq_connect = connect_nothing,
	.memory_map = map_nothing,
	.memory_unmap = unmap_nothing,
	.memory_take_dirty = take_nothing,
	.request = ignore_request,
};

/* ---- The tree as a file ---- */

static int write_all(int fd, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t done = write(fd, data, len);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		data += done;
		len -= (size_t)done;
	}
	return 0;
}

static int write_file(const char *path, const uint8_t *data, size_t len, struct err *err)
{
	bool is_stdout = !strcmp(path, "-");
	int fd = is_stdout ? STDOUT_FILENO
			   : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	int ret = fd < 0 ? -errno : write_all(fd, data, len);

	if (fd >= 0 && !is_stdout && close(fd) < 0 && ret == 0)
		ret = -errno;
	if (ret < 0)
		return err_set(err, EXIT_CODE_DEVICE, -ret,
			"--dump-dtb: can't write the device tree to %.200s: %s",
			is_stdout ? "standard output" : path, strerror(-ret));
	return 0;
}

int machine_profile_dump(const struct vm_config *config, struct err *err)
{
	struct machine *machine = calloc(1, sizeof(*machine));
	uint8_t *tree = malloc(FDT_BYTES_MAX);
	size_t bytes;
	int ret;

	if (!machine || !tree) {
		free(machine);
		free(tree);
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the device tree");
	}
	ret = machine_init(machine, config, &(struct machine_hooks){0}, err);
	if (ret >= 0) {
		ret = machine_build_tree(machine, tree, FDT_BYTES_MAX, &bytes, err);
		machine_finish(machine);
	}
	if (ret >= 0)
		ret = write_file(config->dump_dtb, tree, bytes, err);
	free(machine);
	free(tree);
	return ret;
}
