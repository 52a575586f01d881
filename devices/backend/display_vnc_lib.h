/*
 * libvncserver, loaded when the first VNC display is opened: it brings some fifteen libraries along,
 * and a machine that does not use it shall not pay for that.
 */
#pragma once

#include <stdbool.h>

#include <rfb/rfb.h>
#include <rfb/rfbregion.h>

struct vnc_lib {
	__typeof__(&rfbGetScreen) get_screen;
	__typeof__(&rfbScreenCleanup) cleanup_screen;
	__typeof__(&rfbNewFramebuffer) new_framebuffer;
	__typeof__(&rfbNewClient) new_client;
	__typeof__(&rfbProcessClientMessage) process_message;
	__typeof__(&rfbUpdateClient) update_client;
	__typeof__(&rfbCloseClient) close_client;
	__typeof__(&rfbClientConnectionGone) free_client;
	__typeof__(&rfbMarkRectAsModified) mark_rect;
	__typeof__(&rfbSetCursor) set_cursor;
	__typeof__(&rfbReadExact) read_exact;
	__typeof__(&rfbWriteExact) write_exact;
	__typeof__(&rfbEncryptBytes) encrypt;
	__typeof__(&rfbRegisterProtocolExtension) register_extension;
	__typeof__(&sraRgnEmpty) region_is_empty;
};

/* NULL: it is not installed. The library's own lines go to our log from then on. Any thread. */
const struct vnc_lib *vnc_lib_load(void);
