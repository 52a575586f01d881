/*
 * vmm key, type and pointer: see running.h. A long text goes in pieces, each when the guest has
 * taken the one before.
 */
#include "vmm/running.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm/base/util.h"
#include "vmm/control_client.h"
#include "vmm/key_names.h"

enum {
	WORD_MAX = 60,
	/*
	 * A guest's programs read from buffers that are made for people: Linux's hold 64 events, of
	 * which a key makes six, and a slow guest may take all of a keyboard's before they run. So
	 * no more than these at once, and then a moment.
	 */
	KEYS_AT_ONCE = 2,
	TAKE_NS = 20000000,
	TAKE_PATIENCE_MS = 10000,
};

struct typing {
	struct control_link link;
	const char *command; /* "key" or "pointer": without words it tells how many wait */
	struct control_answer *answer;
	struct err *err;
};

/* Waits until the guest has taken what was sent. */
static int wait_taken(struct typing *typing)
{
	const struct timespec pause = {.tv_nsec = TAKE_NS};
	uint64_t end_ns = util_now_ns() + TAKE_PATIENCE_MS * UINT64_C(1000000);

	do {
		int ret;

		nanosleep(&pause, NULL);
		ret = control_ask(&typing->link, typing->command, CONTROL_PATIENCE_MS,
			typing->answer, typing->err);
		if (ret < 0 || !strcmp(typing->answer->text, "waiting=0\n"))
			return ret;
	} while (util_now_ns() < end_ns);
	err_set(typing->err, EXIT_CODE_NAME, ETIMEDOUT, "the guest of '%s' does not take its input",
		typing->link.name);
	err_hint(typing->err, "it may be paused, or stand still");
	return -ETIMEDOUT;
}

static int send_piece(struct typing *typing, const char *request)
{
	int ret = control_ask(
		&typing->link, request, CONTROL_PATIENCE_MS, typing->answer, typing->err);

	return ret < 0 ? ret : wait_taken(typing);
}

static int check_word(const char *verb, const char *word, struct err *err)
{
	if (*word && strlen(word) <= WORD_MAX && !strpbrk(word, " \n"))
		return 0;
	return err_set(err, EXIT_CODE_USAGE, EINVAL, "%s: there is no use for the word '%.60s'",
		verb, word);
}

/* The words in pieces of `at_once` or less. `next` gives them, NULL at the end. */
static int send_words(
	struct typing *typing, unsigned at_once, const char *(*next)(void *opaque), void *opaque)
{
	char request[CONTROL_LINE_MAX];
	size_t start = (size_t)snprintf(request, sizeof(request), "%s", typing->command),
	       len = start;
	const char *word;
	unsigned count = 0;
	int ret = 0;

	while (ret == 0 && (word = next(opaque))) {
		if (count == at_once || len + strlen(word) + 2 > sizeof(request)) {
			ret = send_piece(typing, request);
			len = start;
			count = 0;
		}
		len += (size_t)snprintf(request + len, sizeof(request) - len, " %s", word);
		count++;
	}
	return ret == 0 && count ? send_piece(typing, request) : ret;
}

static int send_all(const char *name, const char *command, unsigned at_once,
	const char *(*next)(void *opaque), void *opaque, struct err *err)
{
	struct typing typing = {
		.command = command, .answer = malloc(sizeof(*typing.answer)), .err = err};
	int ret;

	if (!typing.answer) {
		err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for an answer");
		return (int)err->kind;
	}
	ret = control_open(&typing.link, name, err);
	if (ret == 0)
		ret = send_words(&typing, at_once, next, opaque);
	control_close(&typing.link);
	free(typing.answer);
	return ret < 0 ? (int)err->kind : EXIT_CODE_OK;
}

/* ---- key and pointer ---- */

static const char *next_argument(void *opaque)
{
	char *const **at = opaque;

	return **at ? *(*at)++ : NULL;
}

/* vmm VERB NAME WORD...; the words go on as they are. */
static int run_words(const char *verb, const char *form, unsigned at_once, int argc,
	char *const *argv, struct err *err)
{
	struct running_words words;
	char *const *rest = argv + 1;

	/* The words may begin with what looks like an option; only the NAME may not. */
	if (running_parse(verb, NULL, MIN(argc, 1), argv, NULL, &words, 1, 1, form, err) < 0)
		return (int)err->kind;
	if (argc < 2) {
		err_set(err, EXIT_CODE_USAGE, EINVAL, "%s needs %s", verb, form);
		return (int)err->kind;
	}
	for (int i = 1; i < argc; i++)
		if (check_word(verb, argv[i], err) < 0)
			return (int)err->kind;
	return send_all(words.at[0], verb, at_once, next_argument, &rest, err);
}

static int check_chord(const char *word, struct err *err)
{
	unsigned codes[KEY_CHORD_MAX];
	const char *bad;
	size_t len;

	if (key_parse_chord(word, codes, &bad, &len))
		return 0;
	err_set(err, EXIT_CODE_USAGE, EINVAL, "there is no key '%.*s' in '%.60s'",
		(int)MIN(len, (size_t)WORD_MAX), bad, word);
	err_hint(err, "keys are named as in linux/input-event-codes.h, without KEY_: a, f1, enter");
	return -EINVAL;
}

int run_key(int argc, char *const *argv, struct err *err)
{
	for (int i = 1; i < argc; i++)
		if (check_chord(argv[i], err) < 0)
			return (int)err->kind;
	return run_words("key", "NAME KEY...", KEYS_AT_ONCE, argc, argv, err);
}

int run_pointer(int argc, char *const *argv, struct err *err)
{
	/* Movements that wait together are merged, and each place is meant. */
	return run_words("pointer", "NAME WORD...", 1, argc, argv, err);
}

/* ---- type ---- */

static const char *next_character(void *opaque)
{
	const char **at = opaque;

	return **at ? key_type(*(*at)++) : NULL;
}

int run_type(int argc, char *const *argv, struct err *err)
{
	struct running_words words;
	const char *text;

	if (running_parse("type", NULL, MIN(argc, 1), argv, NULL, &words, 1, 1, "NAME TEXT", err) <
		0)
		return (int)err->kind;
	if (argc != 2) {
		err_set(err, EXIT_CODE_USAGE, EINVAL, "type needs NAME TEXT, the text as one word");
		return (int)err->kind;
	}
	text = argv[1];
	for (const char *at = text; *at; at++)
		if (!key_type(*at)) {
			err_set(err, EXIT_CODE_USAGE, EINVAL,
				"type: a US keyboard has no key for byte %d of the text",
				(int)(at - text) + 1);
			return (int)err->kind;
		}
	return send_all(words.at[0], "key", KEYS_AT_ONCE, next_character, &text, err);
}
