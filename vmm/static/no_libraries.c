/*
 * For the static program alone (make static): there are no libraries to load. What would load one
 * finds it missing and does without, or says so: kernels unpack themselves unless they come from
 * the cache, and there is no user network, window or VNC.
 *
 * The C library's own dlopen() would need the very version of the shared one that the program was
 * linked with, and would put a second C library beside it.
 */
#include <dlfcn.h>
#include <stddef.h>

void *dlopen(const char *file, int mode)
{
	(void)file, (void)mode;
	return NULL;
}

void *dlsym(void *restrict handle, const char *restrict name)
{
	(void)handle, (void)name;
	return NULL;
}

char *dlerror(void)
{
	static char text[] = "this program is static: it loads no libraries";

	return text;
}
