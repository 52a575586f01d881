/*
 * Runs a fuzzer's function over files, without libFuzzer: with any compiler, in a
 * debugger, in valgrind. Arguments are files and folders of inputs; without one the
 * input is read from standard input. Prints how many inputs were run.
 *
 * One thread.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

static unsigned inputs;

/* The input has exactly its size on the heap, so that ASan sees a read behind it. */
static int run_fd(int fd, const char *name)
{
	uint8_t *data = NULL;
	size_t size = 0, room = 0;
	ssize_t n;

	do {
		if (size == room) {
			room = room ? room * 2 : 4096;
			data = realloc(data, room);
			if (!data)
				return -ENOMEM;
		}
		n = read(fd, data + size, room - size);
		if (n > 0)
			size += (size_t)n;
	} while (n > 0);
	if (n < 0) {
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
		free(data);
		return -EIO;
	}
	data = realloc(data, size ? size : 1);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	inputs++;
	return 0;
}

static int run_path(const char *path);

static int run_folder(DIR *dir, const char *path)
{
	struct dirent *entry;
	int ret = 0;

	while (ret >= 0 && (entry = readdir(dir))) {
		char *inner;

		if (entry->d_name[0] == '.')
			continue;
		if (asprintf(&inner, "%s/%s", path, entry->d_name) < 0)
			return -ENOMEM;
		ret = run_path(inner);
		free(inner);
	}
	return ret;
}

static int run_path(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	int ret;

	if (fd < 0 || fstat(fd, &st)) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		ret = -EIO;
	} else if (S_ISDIR(st.st_mode)) {
		DIR *dir = fdopendir(fd);

		ret = dir ? run_folder(dir, path) : -ENOMEM;
		if (dir) {
			closedir(dir);
			return ret;
		}
	} else {
		ret = run_fd(fd, path);
	}
	if (fd >= 0)
		close(fd);
	return ret;
}

int main(int argc, char **argv)
{
	int ret = 0;

	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	if (argc < 2)
		ret = run_fd(STDIN_FILENO, "standard input");
	for (int i = 1; i < argc && ret >= 0; i++)
		ret = run_path(argv[i]);
	printf("%u inputs\n", inputs);
	return ret < 0 ? 1 : 0;
}
