/*
 * See opts.h. Knows no option by name. The person's words are shown in sentences
 * cut to a readable length; err.c keeps control characters from the terminal.
 */
#include "vmm/base/opts.h"

#include <errno.h>
#include <stdio.h>

#include "vmm/base/util.h"

enum {
	SHOWN_MAX = 64, /* a word in a sentence, with its end */
	LABEL_MAX = 80, /* "--disk: serial" */
};

/* A word as a sentence shows it; lives until the end of the enclosing block. */
#define SHOWN(text) shorten((char[SHOWN_MAX]){0}, text)

static const char *shorten(char buf[SHOWN_MAX], const char *text)
{
	if (strnlen(text, SHOWN_MAX) < SHOWN_MAX)
		return text;
	snprintf(buf, SHOWN_MAX, "%.*s...", SHOWN_MAX - 4, text);
	return buf;
}

/* ---- Single values ---- */

/*
 * Reads decimal digits and stops behind them; false when there are none. A number
 * that does not fit becomes UINT64_MAX, which no range reaches.
 */
static bool read_digits(const char **text, uint64_t *value)
{
	const char *p = *text;

	*value = 0;
	for (; *p >= '0' && *p <= '9'; p++) {
		uint64_t next;

		if (util_mul_overflows(*value, 10, &next) ||
			util_add_overflows(next, (uint64_t)(*p - '0'), &next))
			next = UINT64_MAX;
		*value = next;
	}
	if (p == *text)
		return false;
	*text = p;
	return true;
}

int opts_parse_number(const char *name, const char *text, uint64_t min, uint64_t max,
	uint64_t *value, struct err *err)
{
	const char *end = text;

	if (!read_digits(&end, value) || *end)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"%s: '%s' is not a whole number from %llu to %llu", name, SHOWN(text),
			(unsigned long long)min, (unsigned long long)max);
	if (*value < min || *value > max)
		return err_set(err, EXIT_CODE_USAGE, ERANGE,
			"%s: %s is out of range; it can be %llu to %llu", name, SHOWN(text),
			(unsigned long long)min, (unsigned long long)max);
	return 0;
}

/* Bits that a unit shifts by: 'K' or 'k' 10 … 'T' 40; nothing, "iB" and "B" behind it are fine. */
static bool read_unit(const char **text, unsigned *shift)
{
	static const char units[] = "KMGT";
	const char *p = *text, *at;

	*shift = 0;
	at = memchr(units, *p & ~0x20, sizeof(units) - 1);
	if (at) {
		*shift = (unsigned)(at - units + 1) * 10;
		p++;
		if (!strcmp(p, "iB"))
			p += 2;
	}
	*text = p;
	return !*p;
}

void opts_format_size(uint64_t bytes, char *buf, size_t size)
{
	static const char units[] = "KMGT";
	size_t unit = 0;

	while (unit < sizeof(units) - 1 && bytes && !(bytes & 1023)) {
		bytes >>= 10;
		unit++;
	}
	snprintf(buf, size, "%llu%.1s", (unsigned long long)bytes, unit ? &units[unit - 1] : "");
}

/* Most people who write --memory 512 mean 512M. */
static void hint_unit(uint64_t number, uint64_t min, uint64_t max, struct err *err)
{
	if (number <= UINT64_MAX / MIB && number * MIB >= min && number * MIB <= max)
		err_hint(err, "For %llu MiB write %lluM", (unsigned long long)number,
			(unsigned long long)number);
}

int opts_parse_size(const char *name, const char *text, uint64_t min, uint64_t max, uint64_t step,
	uint64_t *bytes, struct err *err)
{
	char least[24], most[24], multiple[24];
	const char *end = text;
	uint64_t number;
	unsigned shift;

	if (!read_digits(&end, &number) || !read_unit(&end, &shift))
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"%s: '%s' is not a size; write a whole number and K, M, G or T, like 512M",
			name, SHOWN(text));
	*bytes = number > UINT64_MAX >> shift ? UINT64_MAX : number << shift;
	if (*bytes < min || *bytes > max) {
		int ret;

		opts_format_size(min, least, sizeof(least));
		opts_format_size(max, most, sizeof(most));
		ret = err_set(err, EXIT_CODE_USAGE, ERANGE,
			"%s: %s%s is out of range; it can be %s to %s", name, SHOWN(text),
			shift ? "" : " bytes", least, most);

		if (!shift)
			hint_unit(number, min, max, err);
		return ret;
	}
	if (!step || *bytes % step == 0)
		return 0;
	opts_format_size(step, multiple, sizeof(multiple));
	return err_set(err, EXIT_CODE_USAGE, EINVAL, "%s: %s is not a multiple of %s", name,
		SHOWN(text), multiple);
}

int opts_parse_seconds(const char *name, const char *text, unsigned min_ms, unsigned max_ms,
	unsigned *ms, struct err *err)
{
	const char *end = text;
	uint64_t whole_s, thousandths = 0, sum_ms;
	bool good = read_digits(&end, &whole_s);

	if (good && *end == '.') {
		const char *fraction = ++end;

		good = read_digits(&end, &thousandths) && end - fraction <= 3;
		for (long digits = end - fraction; digits < 3; digits++)
			thousandths *= 10;
	}
	if (!good || *end)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"%s: '%s' is not a number of seconds, like 30 or 1.5", name, SHOWN(text));
	if (util_mul_overflows(whole_s, 1000, &sum_ms) ||
		util_add_overflows(sum_ms, thousandths, &sum_ms) || sum_ms < min_ms ||
		sum_ms > max_ms)
		return err_set(err, EXIT_CODE_USAGE, ERANGE,
			"%s: %s is out of range; it can be %g to %g seconds", name, SHOWN(text),
			(double)min_ms / 1000, (double)max_ms / 1000);
	*ms = (unsigned)sum_ms;
	return 0;
}

/* ---- Nearest match ---- */

const char *opts_nearest(const char *typed, const char *const *words)
{
	size_t len = strlen(typed);
	unsigned best = (unsigned)MAX(len / 3, (size_t)1) + 1;
	const char *nearest = NULL, *begun = NULL;
	unsigned begun_count = 0;

	for (; *words; words++) {
		unsigned distance = util_edit_distance(typed, *words);

		if (len && !strncmp(typed, *words, len)) {
			begun = *words;
			begun_count++;
		}
		if (distance < best) {
			best = distance;
			nearest = *words;
		}
	}
	return begun_count == 1 ? begun : nearest;
}

static const char *nearest_name(const struct opt *table, const char *typed)
{
	const char *words[2 * OPTS_MAX + 1];
	size_t count = 0;

	for (const struct opt *opt = table; opt->name; opt++) {
		ASSERT(opt - table < OPTS_MAX);
		words[count++] = opt->name;
		if (opt->alias)
			words[count++] = opt->alias;
	}
	words[count] = NULL;
	return opts_nearest(typed, words);
}

/* ---- One option with its value ---- */

struct parser {
	const struct opt *table;
	void *target;
	uint64_t seen; /* bit n: the table's entry n was given */
	struct err *err;
};

_Static_assert(OPTS_MAX <= 64, "struct parser has one bit for each option");

static bool is_named(const struct opt *opt, const char *name, size_t len)
{
	return (strlen(opt->name) == len && !memcmp(opt->name, name, len)) ||
		(opt->alias && strlen(opt->alias) == len && !memcmp(opt->alias, name, len));
}

static const struct opt *find_name(const struct opt *table, const char *name, size_t len)
{
	for (; table->name; table++)
		if (is_named(table, name, len))
			return table;
	return NULL;
}

static const struct opt *find_letter(const struct opt *table, char letter)
{
	for (; table->name; table++)
		if (letter && table->letter == letter)
			return table;
	return NULL;
}

static int note_seen(struct parser *parser, const struct opt *opt, const char *label)
{
	uint64_t bit;

	ASSERT(opt - parser->table < OPTS_MAX);
	bit = UINT64_C(1) << (opt - parser->table);
	if (parser->seen & bit && !opt->repeats)
		return err_set(parser->err, EXIT_CODE_USAGE, EINVAL,
			"%s is given twice; it can be given once", label);
	parser->seen |= bit;
	return 0;
}

static int parse_on_off(const char *label, const char *text, bool *field, struct err *err)
{
	bool on = !text || !strcmp(text, "on");

	if (!on && strcmp(text, "off") != 0)
		return err_set(err, EXIT_CODE_USAGE, EINVAL, "%s: '%s' is neither on nor off",
			label, SHOWN(text));
	*field = on;
	return 0;
}

static int parse_value(const struct parser *parser, const struct opt *opt, const char *label,
	const char *text, void *field)
{
	struct err *err = parser->err;
	uint64_t number;
	int ret;

	switch (opt->type) {
	case OPT_FLAG:
		return parse_on_off(label, text, field, err);
	case OPT_TEXT:
		*(const char **)field = text;
		return 0;
	case OPT_NUMBER:
		ret = opts_parse_number(label, text, opt->min, opt->max, &number, err);
		if (ret >= 0)
			*(unsigned *)field = (unsigned)number;
		return ret;
	case OPT_SIZE:
		return opts_parse_size(label, text, opt->min, opt->max, opt->step, field, err);
	case OPT_SECONDS:
		return opts_parse_seconds(
			label, text, (unsigned)opt->min, (unsigned)opt->max, field, err);
	case OPT_CUSTOM:
		return opt->parse(parser->target, opt, text, err);
	}
	return 0;
}

/* `text` is NULL for a flag that stands alone. */
static int apply(struct parser *parser, const struct opt *opt, const char *label, const char *text)
{
	int ret = note_seen(parser, opt, label);

	if (ret < 0)
		return ret;
	if (text && !*text && !opt->may_be_empty && opt->type != OPT_FLAG)
		return err_set(parser->err, EXIT_CODE_USAGE, EINVAL,
			"%s: the value is empty; it takes %s", label, opt->value);
	return parse_value(parser, opt, label, text, (char *)parser->target + opt->offset);
}

/* ---- Words of a command line ---- */

static int unknown_option(const struct parser *parser, const char *word)
{
	const char *name = word + strspn(word, "-");
	char bare[SHOWN_MAX];
	const char *nearest;
	int ret;

	snprintf(bare, sizeof(bare), "%.*s", (int)MIN(strcspn(name, "="), sizeof(bare) - 1), name);
	nearest = nearest_name(parser->table, bare);
	ret = err_set(parser->err, EXIT_CODE_USAGE, EINVAL, "there is no option '%s'", SHOWN(word));
	if (nearest)
		err_hint(parser->err, "Did you mean --%s?", nearest);
	else
		err_hint(parser->err, "vmm --help lists all options");
	return ret;
}

/* A forgotten value must not swallow the next option. */
static bool is_option(const struct opt *table, const char *word)
{
	return !strncmp(word, "--", 2) && find_name(table, word + 2, strcspn(word + 2, "="));
}

/* The value that stands in the word behind argv[at], for an option that needs one. */
static int next_word(const struct parser *parser, const struct opt *opt, const char *label,
	int argc, char *const *argv, int at, const char **text)
{
	int ret;

	if (at + 1 < argc && !is_option(parser->table, argv[at + 1])) {
		*text = argv[at + 1];
		return 0;
	}
	ret = err_set(
		parser->err, EXIT_CODE_USAGE, EINVAL, "%s needs a value: %s", label, opt->value);
	if (at + 1 < argc)
		err_hint(parser->err,
			"Behind it stands the option %s; if that is meant, write --%s=%s",
			SHOWN(argv[at + 1]), opt->name, SHOWN(argv[at + 1]));
	return ret;
}

static int parse_long(struct parser *parser, int argc, char *const *argv, int *at)
{
	const char *word = argv[*at], *name = word + 2;
	size_t len = strcspn(name, "=");
	const char *text = name[len] ? name + len + 1 : NULL;
	const struct opt *opt = find_name(parser->table, name, len);
	char label[LABEL_MAX];
	int ret;

	if (!opt)
		return unknown_option(parser, word);
	snprintf(label, sizeof(label), "--%.*s", (int)len, name);
	if (opt->type == OPT_FLAG && text)
		return err_set(parser->err, EXIT_CODE_USAGE, EINVAL, "%s takes no value", label);
	if (!text)
		text = opt->implied;
	if (opt->type != OPT_FLAG && !text) {
		ret = next_word(parser, opt, label, argc, argv, *at, &text);
		if (ret < 0)
			return ret;
		++*at;
	}
	++*at;
	return apply(parser, opt, label, text);
}

/* -q, -qv, -m1G, -m 1G */
static int parse_short(struct parser *parser, int argc, char *const *argv, int *at)
{
	const char *word = argv[*at];
	char label[] = "-?";
	int ret;

	/* -kernel is what other programs say. */
	if (word[2] && find_name(parser->table, word + 1, strcspn(word + 1, "=")))
		return unknown_option(parser, word);
	for (const char *p = word + 1; *p; p++) {
		const struct opt *opt = find_letter(parser->table, *p);
		const char *text = NULL;

		if (!opt)
			return unknown_option(parser, word);
		label[1] = *p;
		if (opt->type != OPT_FLAG) {
			text = p[1] ? p + 1 : NULL;
			if (!text) {
				ret = next_word(parser, opt, label, argc, argv, *at, &text);
				if (ret < 0)
					return ret;
				++*at;
			}
			p = "?"; /* the rest of the word is used up */
		}
		ret = apply(parser, opt, label, text);
		if (ret < 0)
			return ret;
	}
	++*at;
	return 0;
}

int opts_parse_words(const struct opt *table, int argc, char *const *argv, void *target, int *used,
	struct err *err)
{
	struct parser parser = {.table = table, .target = target, .err = err};
	int at = 0;

	while (at < argc) {
		const char *word = argv[at];
		int ret;

		if (word[0] != '-' || !word[1])
			break;
		if (!strcmp(word, "--")) {
			at++;
			break;
		}
		if (word[1] == '-')
			ret = parse_long(&parser, argc, argv, &at);
		else
			ret = parse_short(&parser, argc, argv, &at);
		if (ret < 0)
			return ret;
	}
	*used = at;
	return 0;
}

/* ---- Keys inside one value ---- */

/*
 * Takes the next item off *text, with ",," made one comma; false behind the last. An item
 * is never longer than what it is made from, so it is written in place.
 */
static bool next_item(char **text, char **item)
{
	char *from = *text, *to = *text;

	if (!from)
		return false;
	*item = to;
	while (*from) {
		if (*from == ',' && from[1] != ',')
			break;
		if (*from == ',')
			from++;
		*to++ = *from++;
	}
	*text = *from ? from + 1 : NULL;
	*to = '\0';
	return true;
}

static int unknown_key(const struct parser *parser, const char *owner, const char *name)
{
	const char *nearest = nearest_name(parser->table, name);
	char list[300] = "";
	size_t len = 0;
	int ret;

	for (const struct opt *opt = parser->table; opt->name && len < sizeof(list); opt++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s%s%s", len ? ", " : "",
			opt->name, opt->value ? "=" : "", opt->value ? opt->value : "");
	ret = err_set(parser->err, EXIT_CODE_USAGE, EINVAL, "%s: there is no key '%s'", owner,
		SHOWN(name));
	if (nearest)
		err_hint(parser->err, "Did you mean %s? A comma in a value is written twice",
			nearest);
	else
		err_hint(parser->err, "Keys are %s. A comma in a value is written twice", list);
	return ret;
}

static int parse_item(struct parser *parser, const char *owner, char *item, bool first)
{
	size_t len = strcspn(item, "=");
	const char *text = item[len] ? item + len + 1 : NULL;
	const struct opt *opt = text || !first ? find_name(parser->table, item, len) : NULL;
	char label[LABEL_MAX];

	ASSERT(parser->table && parser->table->name);
	if (!opt && first) {
		opt = parser->table;
		text = item;
	}
	if (!opt && !*item)
		return err_set(parser->err, EXIT_CODE_USAGE, EINVAL,
			"%s: nothing stands between two commas, or behind the last", owner);
	if (!opt) {
		item[len] = '\0';
		return unknown_key(parser, owner, item);
	}
	snprintf(label, sizeof(label), "%s: %s", owner, opt->name);
	if (opt->type != OPT_FLAG && !text)
		return err_set(parser->err, EXIT_CODE_USAGE, EINVAL, "%s needs a value: %s=%s",
			label, opt->name, opt->value);
	return apply(parser, opt, label, text);
}

int opts_parse_keys(
	const struct opt *table, const char *owner, char *text, void *target, struct err *err)
{
	struct parser parser = {.table = table, .target = target, .err = err};
	bool first = true;
	char *item;
	int ret = 0;

	while (ret >= 0 && next_item(&text, &item)) {
		ret = parse_item(&parser, owner, item, first);
		first = false;
	}
	return ret;
}
