/*
 * See display_vnc_keys.h. Names of symbols are those of rfb/keysym.h; the numbers of media keys
 * (0x1008ff..) are from XF86keysym.h, which is not part of it.
 */
#include "devices/backend/display_vnc_keys.h"

#include <linux/input-event-codes.h>
#include <stddef.h>

#include <rfb/keysym.h>

#include "vmm/base/util.h"

/* From space to '~', by code. */
static const uint8_t ascii_keys[] = {
	[' ' - ' '] = KEY_SPACE,
	['!' - ' '] = KEY_1,
	['"' - ' '] = KEY_APOSTROPHE,
	['#' - ' '] = KEY_3,
	['$' - ' '] = KEY_4,
	['%' - ' '] = KEY_5,
	['&' - ' '] = KEY_7,
	['\'' - ' '] = KEY_APOSTROPHE,
	['(' - ' '] = KEY_9,
	[')' - ' '] = KEY_0,
	['*' - ' '] = KEY_8,
	['+' - ' '] = KEY_EQUAL,
	[',' - ' '] = KEY_COMMA,
	['-' - ' '] = KEY_MINUS,
	['.' - ' '] = KEY_DOT,
	['/' - ' '] = KEY_SLASH,
	['0' - ' '] = KEY_0,
	['1' - ' '] = KEY_1,
	['2' - ' '] = KEY_2,
	['3' - ' '] = KEY_3,
	['4' - ' '] = KEY_4,
	['5' - ' '] = KEY_5,
	['6' - ' '] = KEY_6,
	['7' - ' '] = KEY_7,
	['8' - ' '] = KEY_8,
	['9' - ' '] = KEY_9,
	[':' - ' '] = KEY_SEMICOLON,
	[';' - ' '] = KEY_SEMICOLON,
	['<' - ' '] = KEY_COMMA,
	['=' - ' '] = KEY_EQUAL,
	['>' - ' '] = KEY_DOT,
	['?' - ' '] = KEY_SLASH,
	['@' - ' '] = KEY_2,
	['[' - ' '] = KEY_LEFTBRACE,
	['\\' - ' '] = KEY_BACKSLASH,
	[']' - ' '] = KEY_RIGHTBRACE,
	['^' - ' '] = KEY_6,
	['_' - ' '] = KEY_MINUS,
	['`' - ' '] = KEY_GRAVE,
	['{' - ' '] = KEY_LEFTBRACE,
	['|' - ' '] = KEY_BACKSLASH,
	['}' - ' '] = KEY_RIGHTBRACE,
	['~' - ' '] = KEY_GRAVE,
};

static const uint8_t letter_keys[] = {KEY_A, KEY_B, KEY_C, KEY_D, KEY_E, KEY_F, KEY_G, KEY_H, KEY_I,
	KEY_J, KEY_K, KEY_L, KEY_M, KEY_N, KEY_O, KEY_P, KEY_Q, KEY_R, KEY_S, KEY_T, KEY_U, KEY_V,
	KEY_W, KEY_X, KEY_Y, KEY_Z};

static const uint8_t pad_digit_keys[] = {
	KEY_KP0, KEY_KP1, KEY_KP2, KEY_KP3, KEY_KP4, KEY_KP5, KEY_KP6, KEY_KP7, KEY_KP8, KEY_KP9};

static const struct {
	uint32_t symbol;
	uint16_t key;
} named_keys[] = {
	{XK_BackSpace, KEY_BACKSPACE},
	{XK_Tab, KEY_TAB},
	{0xfe20, KEY_TAB}, /* ISO_Left_Tab: with Shift */
	{XK_Return, KEY_ENTER},
	{XK_Linefeed, KEY_LINEFEED},
	{XK_Pause, KEY_PAUSE},
	{XK_Break, KEY_PAUSE},
	{XK_Scroll_Lock, KEY_SCROLLLOCK},
	{XK_Sys_Req, KEY_SYSRQ},
	{XK_Print, KEY_SYSRQ},
	{XK_Escape, KEY_ESC},
	{XK_Delete, KEY_DELETE},
	{XK_Home, KEY_HOME},
	{XK_Left, KEY_LEFT},
	{XK_Up, KEY_UP},
	{XK_Right, KEY_RIGHT},
	{XK_Down, KEY_DOWN},
	{XK_Page_Up, KEY_PAGEUP},
	{XK_Page_Down, KEY_PAGEDOWN},
	{XK_End, KEY_END},
	{XK_Begin, KEY_HOME},
	{XK_Insert, KEY_INSERT},
	{XK_Undo, KEY_UNDO},
	{XK_Redo, KEY_REDO},
	{XK_Menu, KEY_COMPOSE},
	{XK_Find, KEY_FIND},
	{XK_Cancel, KEY_STOP},
	{XK_Help, KEY_HELP},
	{XK_Num_Lock, KEY_NUMLOCK},
	{XK_Caps_Lock, KEY_CAPSLOCK},
	{XK_Shift_Lock, KEY_CAPSLOCK},
	{XK_Shift_L, KEY_LEFTSHIFT},
	{XK_Shift_R, KEY_RIGHTSHIFT},
	{XK_Control_L, KEY_LEFTCTRL},
	{XK_Control_R, KEY_RIGHTCTRL},
	{XK_Alt_L, KEY_LEFTALT},
	{XK_Alt_R, KEY_RIGHTALT},
	{XK_Meta_L, KEY_LEFTALT},
	{XK_Meta_R, KEY_RIGHTALT},
	{0xfe03, KEY_RIGHTALT}, /* ISO_Level3_Shift: AltGr */
	{XK_Mode_switch, KEY_RIGHTALT},
	{XK_Super_L, KEY_LEFTMETA},
	{XK_Super_R, KEY_RIGHTMETA},
	{XK_Hyper_L, KEY_LEFTMETA},
	{XK_Hyper_R, KEY_RIGHTMETA},
	{XK_KP_Space, KEY_SPACE},
	{XK_KP_Tab, KEY_TAB},
	{XK_KP_Enter, KEY_KPENTER},
	{XK_KP_Home, KEY_KP7},
	{XK_KP_Left, KEY_KP4},
	{XK_KP_Up, KEY_KP8},
	{XK_KP_Right, KEY_KP6},
	{XK_KP_Down, KEY_KP2},
	{XK_KP_Page_Up, KEY_KP9},
	{XK_KP_Page_Down, KEY_KP3},
	{XK_KP_End, KEY_KP1},
	{XK_KP_Begin, KEY_KP5},
	{XK_KP_Insert, KEY_KP0},
	{XK_KP_Delete, KEY_KPDOT},
	{XK_KP_Equal, KEY_KPEQUAL},
	{XK_KP_Multiply, KEY_KPASTERISK},
	{XK_KP_Add, KEY_KPPLUS},
	{XK_KP_Separator, KEY_KPCOMMA},
	{XK_KP_Subtract, KEY_KPMINUS},
	{XK_KP_Decimal, KEY_KPDOT},
	{XK_KP_Divide, KEY_KPSLASH},
	{0xff22, KEY_MUHENKAN},
	{0xff23, KEY_HENKAN},
	{0xff25, KEY_HIRAGANA},
	{0xff26, KEY_KATAKANA},
	{0xff27, KEY_KATAKANAHIRAGANA},
	{0xff2a, KEY_ZENKAKUHANKAKU},
	{0xff31, KEY_HANGEUL},
	{0xff34, KEY_HANJA},
	{0x1008ff11, KEY_VOLUMEDOWN},
	{0x1008ff12, KEY_MUTE},
	{0x1008ff13, KEY_VOLUMEUP},
	{0x1008ff14, KEY_PLAYPAUSE},
	{0x1008ff15, KEY_STOPCD},
	{0x1008ff16, KEY_PREVIOUSSONG},
	{0x1008ff17, KEY_NEXTSONG},
	{0x1008ff18, KEY_HOMEPAGE},
	{0x1008ff19, KEY_MAIL},
	{0x1008ff1b, KEY_SEARCH},
	{0x1008ff1d, KEY_CALC},
	{0x1008ff26, KEY_BACK},
	{0x1008ff27, KEY_FORWARD},
	{0x1008ff28, KEY_STOP},
	{0x1008ff29, KEY_REFRESH},
	{0x1008ff2a, KEY_POWER},
	{0x1008ff2b, KEY_WAKEUP},
	{0x1008ff2f, KEY_SLEEP},
	{0x1008ff30, KEY_BOOKMARKS},
	{0x1008ff31, KEY_PLAYPAUSE},
	{0x1008ff32, KEY_MEDIA},
	{0x1008ff33, KEY_COMPUTER},
};

unsigned vnc_key_of_symbol(uint32_t symbol)
{
	if (symbol >= 'a' && symbol <= 'z')
		return letter_keys[symbol - 'a'];
	if (symbol >= 'A' && symbol <= 'Z')
		return letter_keys[symbol - 'A'];
	if (symbol >= ' ' && symbol - ' ' < ARRAY_SIZE(ascii_keys))
		return ascii_keys[symbol - ' '];
	if (symbol >= XK_F1 && symbol <= XK_F10)
		return KEY_F1 + (symbol - XK_F1);
	if (symbol == XK_F11 || symbol == XK_F12)
		return KEY_F11 + (symbol - XK_F11);
	if (symbol >= XK_F13 && symbol <= XK_F24)
		return KEY_F13 + (symbol - XK_F13);
	if (symbol >= XK_KP_0 && symbol <= XK_KP_9)
		return pad_digit_keys[symbol - XK_KP_0];
	for (size_t i = 0; i < ARRAY_SIZE(named_keys); i++)
		if (named_keys[i].symbol == symbol)
			return named_keys[i].key;
	return 0;
}

/* Those from KEY_ESC to KEY_KPDOT have the numbers of their scan codes. */
static const uint8_t scancode_keys[256] = {
	[0x54] = KEY_SYSRQ,
	[0x56] = KEY_102ND,
	[0x57] = KEY_F11,
	[0x58] = KEY_F12,
	[0x59] = KEY_KPEQUAL,
	[0x64] = KEY_F13,
	[0x65] = KEY_F14,
	[0x66] = KEY_F15,
	[0x67] = KEY_F16,
	[0x68] = KEY_F17,
	[0x69] = KEY_F18,
	[0x6a] = KEY_F19,
	[0x6b] = KEY_F20,
	[0x6c] = KEY_F21,
	[0x6d] = KEY_F22,
	[0x6e] = KEY_F23,
	[0x70] = KEY_KATAKANAHIRAGANA,
	[0x73] = KEY_RO,
	[0x76] = KEY_F24,
	[0x77] = KEY_HIRAGANA,
	[0x78] = KEY_KATAKANA,
	[0x79] = KEY_HENKAN,
	[0x7b] = KEY_MUHENKAN,
	[0x7d] = KEY_YEN,
	[0x7e] = KEY_KPCOMMA,
	[0x90] = KEY_PREVIOUSSONG,
	[0x99] = KEY_NEXTSONG,
	[0x9c] = KEY_KPENTER,
	[0x9d] = KEY_RIGHTCTRL,
	[0xa0] = KEY_MUTE,
	[0xa1] = KEY_CALC,
	[0xa2] = KEY_PLAYPAUSE,
	[0xa4] = KEY_STOPCD,
	[0xae] = KEY_VOLUMEDOWN,
	[0xb0] = KEY_VOLUMEUP,
	[0xb2] = KEY_HOMEPAGE,
	[0xb5] = KEY_KPSLASH,
	[0xb7] = KEY_SYSRQ,
	[0xb8] = KEY_RIGHTALT,
	[0xc6] = KEY_PAUSE,
	[0xc7] = KEY_HOME,
	[0xc8] = KEY_UP,
	[0xc9] = KEY_PAGEUP,
	[0xcb] = KEY_LEFT,
	[0xcd] = KEY_RIGHT,
	[0xcf] = KEY_END,
	[0xd0] = KEY_DOWN,
	[0xd1] = KEY_PAGEDOWN,
	[0xd2] = KEY_INSERT,
	[0xd3] = KEY_DELETE,
	[0xdb] = KEY_LEFTMETA,
	[0xdc] = KEY_RIGHTMETA,
	[0xdd] = KEY_COMPOSE,
	[0xde] = KEY_POWER,
	[0xdf] = KEY_SLEEP,
	[0xe3] = KEY_WAKEUP,
	[0xe5] = KEY_SEARCH,
	[0xe6] = KEY_BOOKMARKS,
	[0xe7] = KEY_REFRESH,
	[0xe8] = KEY_STOP,
	[0xe9] = KEY_FORWARD,
	[0xea] = KEY_BACK,
	[0xeb] = KEY_COMPUTER,
	[0xec] = KEY_MAIL,
	[0xed] = KEY_MEDIA,
	[0xf1] = KEY_HANJA,
	[0xf2] = KEY_HANGEUL,
};

unsigned vnc_key_of_scancode(uint32_t scancode)
{
	if (scancode >= ARRAY_SIZE(scancode_keys))
		return 0;
	return scancode <= KEY_KPDOT ? scancode : scancode_keys[scancode];
}
