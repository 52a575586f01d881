/*
 * See tool_exec.h.
 */
#include "vmm/tool_exec.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The path of the program that this is, without " (deleted)" if it is gone. */
static int own_path(char *path, size_t size)
{
	ssize_t len = readlink("/proc/self/exe", path, size - 1);

	if (len < 0)
		return -errno;
	path[len] = '\0';
	return 0;
}

int tool_exec(const char *name, int argc, char *const *argv, struct err *err)
{
	static const char *const places[] = {"libexec/vmm", "../libexec/vmm"};
	char self[PATH_MAX], tool[PATH_MAX + 64];
	char **words = calloc((size_t)argc + 2, sizeof(*words));
	const char *slash;
	int ret;

	if (!words)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the words");
	ret = own_path(self, sizeof(self));
	slash = ret < 0 ? NULL : strrchr(self, '/');
	if (slash && setenv("VMM", self, 1) == 0) {
		for (int i = 0; i < argc; i++)
			words[i + 1] = argv[i];
		ret = -ENOENT;
		for (size_t i = 0; i < ARRAY_SIZE(places) && ret == -ENOENT; i++) {
			snprintf(tool, sizeof(tool), "%.*s/%s/%s", (int)(slash - self), self,
				places[i], name);
			words[0] = tool;
			execv(tool, words);
			ret = -errno;
		}
	}
	free(words);
	err_set(err, EXIT_CODE_INTERNAL, -ret, "can't start the program of 'vmm %s': %s", name,
		strerror(-ret));
	err_hint(err, "it belongs into libexec/vmm beside this program or above it: make install");
	return ret;
}
