/*
 * Keys as VNC names them, and as Linux does: KEY_* of linux/input-event-codes.h. No state.
 */
#pragma once

#include <stdint.h>

/*
 * The key of a keyboard with US layout that has this symbol (X11's keysyms, RFC 6143 §7.5.4),
 * whatever the state of its Shift; 0: none has.
 */
unsigned vnc_key_of_symbol(uint32_t symbol);

/*
 * The key at this place: scan code of set 1 of the PC's keyboard, 0x80 added to those that come
 * behind 0xe0. 0: there is none.
 */
unsigned vnc_key_of_scancode(uint32_t scancode);
