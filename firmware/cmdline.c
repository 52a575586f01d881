/*
 * See cmdline.h. Pure text, no state.
 *
 * What is said here is said by the person at the keyboard, so nothing is hostile;
 * quotes that are never closed and lines of any length are legal all the same
 * (tests: cmdline_unclosed_quote, cmdline_too_long).
 */
#include "firmware/cmdline.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/util.h"
#include "vmm/core/explain.h"

/* ---- Reading ---- */

struct word {
	const char *start;
	size_t len;
};

/* As Linux's isspace: the high bit set means no white space here. */
static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next word from *line, which moves behind it; false at the end. */
static bool next_word(const char **line, struct word *word)
{
	const char *p = *line;
	bool quoted = false;

	while (is_space(*p))
		p++;
	word->start = p;
	for (; *p && (quoted || !is_space(*p)); p++)
		if (*p == '"')
			quoted = !quoted;
	word->len = (size_t)(p - word->start);
	*line = p;
	return word->len > 0;
}

static bool is_separator(const struct word *word)
{
	return word->len == 2 && !memcmp(word->start, "--", 2);
}

static char dash(char c)
{
	return c == '-' ? '_' : c;
}

static bool word_is(const struct word *word, const char *name, size_t len)
{
	size_t skip = word->start[0] == '"';

	if (word->len < len + skip)
		return false;
	for (size_t i = 0; i < len; i++)
		if (dash(word->start[skip + i]) != dash(name[i]))
			return false;
	return word->len == len + skip || word->start[skip + len] == '=' ||
		word->start[skip + len] == '"';
}

static bool has(const char *line, const char *name, size_t len)
{
	struct word word;

	if (!line)
		return false;
	while (next_word(&line, &word) && !is_separator(&word))
		if (word_is(&word, name, len))
			return true;
	return false;
}

bool cmdline_has(const char *line, const char *name)
{
	return has(line, name, strlen(name));
}

/* Up to the '=' of a word, or all of it. */
bool cmdline_has_name_of(const char *line, const char *word)
{
	return has(line, word, strcspn(word, "="));
}

/* ---- Building ---- */

struct line {
	char *buf;
	size_t size;
	size_t used; /* without the NUL; >= size: it did not fit */
};

static void add(struct line *line, const char *text)
{
	size_t len = strlen(text);

	if (line->used) {
		if (line->used + 1 < line->size)
			line->buf[line->used] = ' ';
		line->used++;
	}
	if (line->used < line->size)
		snprintf(line->buf + line->used, line->size - line->used, "%s", text);
	line->used += len;
}

/*
 * The defaults. Each is said unless the person said one of the `unless` words.
 * `text` returns what is added, or NULL for nothing in this machine.
 */
struct fallback {
	const char *unless[4];
	const char *(*text)(const struct cmdline_request *request, char *buf, size_t size);
	const char *why;
};

/* It prints to all; the last is its /dev/console. */
static const char *console_text(const struct cmdline_request *request, char *buf, size_t size)
{
	const char *const names[] = {
		request->screen && !request->screen_is_last ? "tty0" : NULL,
		request->console,
		request->last_console,
		request->screen && request->screen_is_last ? "tty0" : NULL,
	};
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i])
			len += (size_t)snprintf(
				buf + len, size - len, "%sconsole=%s", len ? " " : "", names[i]);
	return len ? buf : NULL;
}

static const char *root_text(const struct cmdline_request *request, char *buf, size_t size)
{
	if (!request->root)
		return NULL;
	snprintf(buf, size, "root=%s", request->root);
	return buf;
}

static const char *mode_text(const struct cmdline_request *request, char *buf, size_t size)
{
	if (!request->root || cmdline_has(request->user, "root"))
		return NULL;
	snprintf(buf, size, "%s", request->root_read_only ? "ro" : "rw");
	return buf;
}

static const char *gpt_text(const struct cmdline_request *request, char *buf, size_t size)
{
	if (!request->root || !request->gpt_damaged || cmdline_has(request->user, "root"))
		return NULL;
	snprintf(buf, size, "gpt");
	return buf;
}

static const char *panic_text(const struct cmdline_request *request, char *buf, size_t size)
{
	(void)request;
	snprintf(buf, size, "panic=-1");
	return buf;
}

/* Debian has the driver of hvc0 on its root. Who is not systemd takes no notice of the word. */
static const char *login_text(const struct cmdline_request *request, char *buf, size_t size)
{
	if (!request->last_console)
		return NULL;
	snprintf(buf, size, "systemd.wants=serial-getty@%s.service", request->last_console);
	return buf;
}

static const struct fallback fallbacks[] = {
	{{"console"}, console_text, "else it prints to a screen that this machine does not have"},
	{{"root"}, root_text,
		"found by looking into the disk; without it a kernel panics (unable to mount "
		"root)"},
	{{"ro", "rw"}, mode_text,
		"else Linux mounts its root read-only, and a small guest never remounts it"},
	{{"gpt"}, gpt_text, "else Linux does not look at the backup of a damaged partition table"},
	{{"panic"}, panic_text,
		"a panic resets at once, and vmm ends with its own exit status; else it hangs"},
	{{"systemd.wants", "console"}, login_text,
		"systemd looks for consoles before drivers come that lie on the root, and would "
		"start no login there"},
};

static bool said_any(const char *user, const struct fallback *fallback)
{
	for (size_t i = 0; i < ARRAY_SIZE(fallback->unless) && fallback->unless[i]; i++)
		if (cmdline_has(user, fallback->unless[i]))
			return true;
	return false;
}

static void explain_words_of(const char *user)
{
	struct word word;

	while (next_word(&user, &word))
		explain("%-16.*s --append", (int)MIN(word.len, (size_t)200), word.start);
}

int cmdline_build(const struct cmdline_request *request, char *buf, size_t size, struct err *err)
{
	struct line line = {.buf = buf, .size = size};
	const char *user = request->user ? request->user : "";

	ASSERT(size > 0);
	buf[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(fallbacks); i++) {
		char text[128];
		const char *add_this = NULL;

		if (said_any(user, &fallbacks[i]))
			explain("%-16s left to --append, which says something about it",
				fallbacks[i].unless[0]);
		else
			add_this = fallbacks[i].text(request, text, sizeof(text));
		if (add_this) {
			explain("%-16s vmm: %s", add_this, fallbacks[i].why);
			add(&line, add_this);
		}
	}
	for (size_t i = 0; request->more && request->more[i]; i++)
		if (!cmdline_has_name_of(user, request->more[i])) {
			explain("%-16s the machine's profile", request->more[i]);
			add(&line, request->more[i]);
		}
	while (is_space(*user))
		user++;
	if (*user)
		add(&line, user);
	if (explain_is_on())
		explain_words_of(user);
	if (line.used >= size) {
		err_set(err, EXIT_CODE_USAGE, E2BIG,
			"the kernel command line would have %zu characters; %zu is the most that "
			"any kernel takes",
			line.used, size - 1);
		err_hint(err, "shorten --append");
		return -E2BIG;
	}
	return 0;
}
