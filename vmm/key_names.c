/*
 * See key_names.h.
 */
#include "vmm/key_names.h"

#include <linux/input-event-codes.h>
#include <string.h>
#include <strings.h>

#include "vmm/base/util.h"

struct name {
	const char *text;
	unsigned code;
};

static const struct name keys[] = {
#define K(name) {#name, KEY_##name},
	/* clang-format off */
	K(ESC) K(1) K(2) K(3) K(4) K(5) K(6) K(7) K(8) K(9) K(0) K(MINUS) K(EQUAL) K(BACKSPACE)
	K(TAB) K(Q) K(W) K(E) K(R) K(T) K(Y) K(U) K(I) K(O) K(P) K(LEFTBRACE) K(RIGHTBRACE)
	K(ENTER) K(LEFTCTRL) K(A) K(S) K(D) K(F) K(G) K(H) K(J) K(K) K(L) K(SEMICOLON)
	K(APOSTROPHE) K(GRAVE) K(LEFTSHIFT) K(BACKSLASH) K(Z) K(X) K(C) K(V) K(B) K(N) K(M)
	K(COMMA) K(DOT) K(SLASH) K(RIGHTSHIFT) K(KPASTERISK) K(LEFTALT) K(SPACE) K(CAPSLOCK)
	K(F1) K(F2) K(F3) K(F4) K(F5) K(F6) K(F7) K(F8) K(F9) K(F10) K(NUMLOCK) K(SCROLLLOCK)
	K(KP7) K(KP8) K(KP9) K(KPMINUS) K(KP4) K(KP5) K(KP6) K(KPPLUS) K(KP1) K(KP2) K(KP3)
	K(KP0) K(KPDOT) K(ZENKAKUHANKAKU) K(102ND) K(F11) K(F12) K(RO) K(KATAKANA) K(HIRAGANA)
	K(HENKAN) K(KATAKANAHIRAGANA) K(MUHENKAN) K(KPJPCOMMA) K(KPENTER) K(RIGHTCTRL) K(KPSLASH)
	K(SYSRQ) K(RIGHTALT) K(LINEFEED) K(HOME) K(UP) K(PAGEUP) K(LEFT) K(RIGHT) K(END) K(DOWN)
	K(PAGEDOWN) K(INSERT) K(DELETE) K(MACRO) K(MUTE) K(VOLUMEDOWN) K(VOLUMEUP) K(POWER)
	K(KPEQUAL) K(KPPLUSMINUS) K(PAUSE) K(SCALE) K(KPCOMMA) K(HANGEUL) K(HANJA) K(YEN)
	K(LEFTMETA) K(RIGHTMETA) K(COMPOSE) K(STOP) K(AGAIN) K(PROPS) K(UNDO) K(FRONT) K(COPY)
	K(OPEN) K(PASTE) K(FIND) K(CUT) K(HELP) K(MENU) K(CALC) K(SETUP) K(SLEEP) K(WAKEUP)
	K(FILE) K(SENDFILE) K(DELETEFILE) K(XFER) K(PROG1) K(PROG2) K(WWW) K(MSDOS) K(COFFEE)
	K(ROTATE_DISPLAY) K(CYCLEWINDOWS) K(MAIL) K(BOOKMARKS) K(COMPUTER) K(BACK) K(FORWARD)
	K(CLOSECD) K(EJECTCD) K(EJECTCLOSECD) K(NEXTSONG) K(PLAYPAUSE) K(PREVIOUSSONG) K(STOPCD)
	K(RECORD) K(REWIND) K(PHONE) K(ISO) K(CONFIG) K(HOMEPAGE) K(REFRESH) K(EXIT) K(MOVE)
	K(EDIT) K(SCROLLUP) K(SCROLLDOWN) K(KPLEFTPAREN) K(KPRIGHTPAREN) K(NEW) K(REDO) K(F13)
	K(F14) K(F15) K(F16) K(F17) K(F18) K(F19) K(F20) K(F21) K(F22) K(F23) K(F24) K(PLAYCD)
	K(PAUSECD) K(PROG3) K(PROG4) K(ALL_APPLICATIONS) K(SUSPEND) K(CLOSE) K(PLAY)
	K(FASTFORWARD) K(BASSBOOST) K(PRINT) K(HP) K(CAMERA) K(SOUND) K(QUESTION) K(EMAIL)
	K(CHAT) K(SEARCH) K(CONNECT) K(FINANCE) K(SPORT) K(SHOP) K(ALTERASE) K(CANCEL)
	K(BRIGHTNESSDOWN) K(BRIGHTNESSUP) K(MEDIA) K(SWITCHVIDEOMODE) K(KBDILLUMTOGGLE)
	K(KBDILLUMDOWN) K(KBDILLUMUP) K(SEND) K(REPLY) K(FORWARDMAIL) K(SAVE) K(DOCUMENTS)
	K(BATTERY) K(BLUETOOTH) K(WLAN) K(UWB) K(UNKNOWN) K(VIDEO_NEXT) K(VIDEO_PREV)
	K(BRIGHTNESS_CYCLE) K(BRIGHTNESS_AUTO) K(DISPLAY_OFF) K(WWAN) K(RFKILL) K(MICMUTE)
#undef K
	{"ctrl", KEY_LEFTCTRL}, {"control", KEY_LEFTCTRL}, {"alt", KEY_LEFTALT},
	{"shift", KEY_LEFTSHIFT}, {"meta", KEY_LEFTMETA}, {"super", KEY_LEFTMETA},
	{"win", KEY_LEFTMETA}, {"altgr", KEY_RIGHTALT}, {"apps", KEY_COMPOSE},
	{"del", KEY_DELETE}, {"ins", KEY_INSERT}, {"escape", KEY_ESC}, {"return", KEY_ENTER},
	{"pgup", KEY_PAGEUP}, {"pgdn", KEY_PAGEDOWN}, {"printscreen", KEY_SYSRQ}, {"break", KEY_PAUSE},
	{"caps", KEY_CAPSLOCK}, {"period", KEY_DOT}, {"less", KEY_102ND},
	/* clang-format on */
};

static const struct name buttons[] = {
	{"left", BTN_LEFT},
	{"right", BTN_RIGHT},
	{"middle", BTN_MIDDLE},
	{"side", BTN_SIDE},
	{"extra", BTN_EXTRA},
};

static unsigned find(const struct name *names, size_t count, const char *text, size_t len)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(names[i].text) == len && !strncasecmp(names[i].text, text, len))
			return names[i].code;
	return 0;
}

unsigned key_find(const char *name, size_t len)
{
	return find(keys, ARRAY_SIZE(keys), name, len);
}

unsigned key_find_button(const char *name)
{
	return find(buttons, ARRAY_SIZE(buttons), name, strlen(name));
}

unsigned key_parse_chord(
	const char *text, unsigned codes[KEY_CHORD_MAX], const char **bad, size_t *bad_len)
{
	unsigned count = 0;

	for (;;) {
		size_t len = strcspn(text, "-");
		unsigned code = count < KEY_CHORD_MAX ? key_find(text, len) : 0;

		if (!code) {
			*bad = text;
			*bad_len = len;
			return 0;
		}
		codes[count++] = code;
		if (!text[len])
			return count;
		text += len + 1;
	}
}

/* By character */
static const char *const typed[] = {
	/* clang-format off */
	['\t'] = "tab",
	['\n'] = "enter",
	[' '] = "space",
	['!'] = "shift-1",
	['"'] = "shift-apostrophe",
	['#'] = "shift-3",
	['$'] = "shift-4",
	['%'] = "shift-5",
	['&'] = "shift-7",
	['\''] = "apostrophe",
	['('] = "shift-9",
	[')'] = "shift-0",
	['*'] = "shift-8",
	['+'] = "shift-equal",
	[','] = "comma",
	['-'] = "minus",
	['.'] = "dot",
	['/'] = "slash",
	['0'] = "0",
	['1'] = "1",
	['2'] = "2",
	['3'] = "3",
	['4'] = "4",
	['5'] = "5",
	['6'] = "6",
	['7'] = "7",
	['8'] = "8",
	['9'] = "9",
	[':'] = "shift-semicolon",
	[';'] = "semicolon",
	['<'] = "shift-comma",
	['='] = "equal",
	['>'] = "shift-dot",
	['?'] = "shift-slash",
	['@'] = "shift-2",
	['A'] = "shift-a",
	['B'] = "shift-b",
	['C'] = "shift-c",
	['D'] = "shift-d",
	['E'] = "shift-e",
	['F'] = "shift-f",
	['G'] = "shift-g",
	['H'] = "shift-h",
	['I'] = "shift-i",
	['J'] = "shift-j",
	['K'] = "shift-k",
	['L'] = "shift-l",
	['M'] = "shift-m",
	['N'] = "shift-n",
	['O'] = "shift-o",
	['P'] = "shift-p",
	['Q'] = "shift-q",
	['R'] = "shift-r",
	['S'] = "shift-s",
	['T'] = "shift-t",
	['U'] = "shift-u",
	['V'] = "shift-v",
	['W'] = "shift-w",
	['X'] = "shift-x",
	['Y'] = "shift-y",
	['Z'] = "shift-z",
	['['] = "leftbrace",
	['\\'] = "backslash",
	[']'] = "rightbrace",
	['^'] = "shift-6",
	['_'] = "shift-minus",
	['`'] = "grave",
	['a'] = "a",
	['b'] = "b",
	['c'] = "c",
	['d'] = "d",
	['e'] = "e",
	['f'] = "f",
	['g'] = "g",
	['h'] = "h",
	['i'] = "i",
	['j'] = "j",
	['k'] = "k",
	['l'] = "l",
	['m'] = "m",
	['n'] = "n",
	['o'] = "o",
	['p'] = "p",
	['q'] = "q",
	['r'] = "r",
	['s'] = "s",
	['t'] = "t",
	['u'] = "u",
	['v'] = "v",
	['w'] = "w",
	['x'] = "x",
	['y'] = "y",
	['z'] = "z",
	['{'] = "shift-leftbrace",
	['|'] = "shift-backslash",
	['}'] = "shift-rightbrace",
	['~'] = "shift-grave",
	/* clang-format on */
};

const char *key_type(char character)
{
	unsigned char index = (unsigned char)character;

	return index < ARRAY_SIZE(typed) ? typed[index] : NULL;
}
