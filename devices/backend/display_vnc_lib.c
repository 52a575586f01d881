/*
 * See display_vnc_lib.h.
 */
#include "devices/backend/display_vnc_lib.h"

#include <ctype.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>

#include "vmm/base/log.h"
#include "vmm/base/util.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct vnc_lib lib;

/* It tells of each connection on several lines, and repeats what clients send. */
__attribute__((format(printf, 1, 2))) static void take_log(const char *format, ...)
{
	char text[200];
	va_list args;

	if (!log_is_enabled(LOG_DEBUG))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	text[strcspn(text, "\r\n")] = '\0';
	for (char *c = text; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	log_debug("vnc: %s", text);
}

static bool find_symbols(void *handle)
{
	rfbLogProc *logs[2];
	const struct {
		const char *name;
		void *slot;
	} symbols[] = {
		{"rfbGetScreen", &lib.get_screen},
		{"rfbScreenCleanup", &lib.cleanup_screen},
		{"rfbNewFramebuffer", &lib.new_framebuffer},
		{"rfbNewClient", &lib.new_client},
		{"rfbProcessClientMessage", &lib.process_message},
		{"rfbUpdateClient", &lib.update_client},
		{"rfbCloseClient", &lib.close_client},
		{"rfbClientConnectionGone", &lib.free_client},
		{"rfbMarkRectAsModified", &lib.mark_rect},
		{"rfbSetCursor", &lib.set_cursor},
		{"rfbReadExact", &lib.read_exact},
		{"rfbWriteExact", &lib.write_exact},
		{"rfbEncryptBytes", &lib.encrypt},
		{"rfbRegisterProtocolExtension", &lib.register_extension},
		{"sraRgnEmpty", &lib.region_is_empty},
		{"rfbLog", &logs[0]},
		{"rfbErr", &logs[1]},
	};

	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
		void *address = dlsym(handle, symbols[i].name);

		if (!address)
			return false;
		memcpy(symbols[i].slot, &address, sizeof(address));
	}
	*logs[0] = *logs[1] = take_log;
	return true;
}

const struct vnc_lib *vnc_lib_load(void)
{
	static bool is_loaded;
	void *handle;

	pthread_mutex_lock(&mutex);
	if (!is_loaded) {
		/* Never closed: those that come with it can't be. */
		handle = dlopen("libvncserver.so.1", RTLD_NOW | RTLD_LOCAL);
		is_loaded = handle && find_symbols(handle);
	}
	pthread_mutex_unlock(&mutex);
	return is_loaded ? &lib : NULL;
}
