/*
 * Options from tables: words of a command line (--memory 1G, -m1G, --memory=1G)
 * and keys inside one value (FILE,ro,serial=a). Each entry says what it takes and
 * which field of the caller's struct it fills; the same table makes the help.
 *
 * Errors are of kind EXIT_CODE_USAGE: one sentence that names the option, what was
 * wrong with it and what it takes. No state; one thread per call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"

enum opt_type {
	OPT_FLAG,    /* bool; as a key also name=on or name=off */
	OPT_TEXT,    /* const char *, borrowed from the words */
	OPT_NUMBER,  /* unsigned, min to max */
	OPT_SIZE,    /* uint64_t bytes, K M G T, min to max, a multiple of `step` */
	OPT_SECONDS, /* unsigned milliseconds, from seconds with up to three decimals */
	OPT_CUSTOM,  /* parse() does it */
};

struct opt {
	const char *name;  /* "memory" */
	const char *alias; /* a second name that means the same, or NULL */
	char letter;	   /* 'm', or 0; not for keys */
	enum opt_type type;
	bool repeats;		/* may be given more than once */
	bool may_be_empty;	/* an empty value is one */
	size_t offset;		/* of the field in the target struct */
	uint64_t min, max;	/* NUMBER, SIZE: the value; SECONDS: milliseconds */
	uint64_t step;		/* SIZE; 0 = 1 */
	const char *implied;	/* the value when it stands alone; another only behind = */
	const char *value;	/* what it takes, for people: "SIZE"; NULL for a flag */
	const char *choices;	/* for completions: "file", or the words it can be; or NULL */
	const struct opt *keys; /* CUSTOM: the table of the keys inside the value, or NULL */
	/*
	 * OPT_CUSTOM: `text` is borrowed from the words. Called once for each time
	 * the option is given. Fails with a sentence that opens with the option's name.
	 */
	int (*parse)(void *target, const struct opt *opt, const char *text, struct err *err);
	const char *group; /* heading in the help, on the first option of each; NULL: as before */
	const char *help;  /* one or two plain sentences */
};

/* The end of every table. */
#define OPT_END                                                                                    \
	{                                                                                          \
		.name = NULL                                                                       \
	}

enum {
	OPTS_MAX = 64
};

/*
 * Reads options from argv[0] on and stops behind them: at the first word that is
 * no option, or after "--". *used says how many words were taken.
 */
int opts_parse_words(const struct opt *table, int argc, char *const *argv, void *target, int *used,
	struct err *err);

/*
 * Reads "VALUE,key=value,key,…". The first item may stand bare and then belongs to the
 * table's first key. A comma inside a value is doubled. `text` is changed in place; the
 * target's texts point into it. `owner` ("--disk") opens the sentences.
 */
int opts_parse_keys(
	const struct opt *table, const char *owner, char *text, void *target, struct err *err);

/*
 * The single values, for custom parsers. `name` opens the sentence ("--memory"). The
 * whole text has to be the value.
 */
int opts_parse_number(const char *name, const char *text, uint64_t min, uint64_t max,
	uint64_t *value, struct err *err);
int opts_parse_size(const char *name, const char *text, uint64_t min, uint64_t max, uint64_t step,
	uint64_t *bytes, struct err *err);
int opts_parse_seconds(const char *name, const char *text, unsigned min_ms, unsigned max_ms,
	unsigned *ms, struct err *err);

/* "1.5 GiB" would be imprecise: writes the largest unit that divides: "1536M", "2G", "5". */
void opts_format_size(uint64_t bytes, char *buf, size_t size);

/*
 * The word of `words` (ended by NULL) that `typed` most likely meant, or NULL: the
 * only one it begins, or the nearest within about a third of its letters.
 */
const char *opts_nearest(const char *typed, const char *const *words);
