/*
 * The man page (see help.h): a template written by people, with the lists made from
 * the tables put in. The output is mdoc(7).
 */
#include "vmm/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/opts.h"
#include "vmm/config.h"
#include "vmm/verbs.h"

enum {
	LINE_MAX_COLUMNS = 76
};

/* One word with what roff would understand made literal; option dashes can then be copied. */
static void put_word(FILE *out, const char *word, int len, bool at_line_start)
{
	if (at_line_start && (*word == '.' || *word == '\''))
		fputs("\\&", out);
	for (int i = 0; i < len; i++) {
		if (word[i] == '\\')
			fputs("\\e", out);
		else if (word[i] == '-' && (i == 0 || word[i - 1] == '-'))
			fputs("\\-", out);
		else
			fputc(word[i], out);
	}
}

/* Lines of text, each sentence beginning one, as mdoc wants it. */
static void put_text(FILE *out, const char *text)
{
	int column = 0;

	while (*text) {
		int len = (int)strcspn(text, " ");
		bool ends_sentence = len && strchr(".?", text[len - 1]);

		if (column && column + 1 + len > LINE_MAX_COLUMNS) {
			fputc('\n', out);
			column = 0;
		}
		if (column)
			fputc(' ', out);
		put_word(out, text, len, !column);
		column += len + 1;
		text += len;
		text += strspn(text, " ");
		if (ends_sentence || !*text) {
			fputc('\n', out);
			column = 0;
		}
	}
}

static void put_keys(FILE *out, const struct opt *keys)
{
	fputs(".Bl -tag -width Ds -compact\n", out);
	for (const struct opt *key = keys; key->name; key++) {
		fprintf(out, ".It Cm %s", key->name);
		if (key->value)
			fprintf(out, " Ns = Ns Ar %s", key->value);
		fputc('\n', out);
		put_text(out, key->help);
	}
	fputs(".El\n", out);
}

static void put_options(FILE *out)
{
	for (const struct opt *opt = config_options; opt->name; opt++) {
		if (opt->group)
			fprintf(out, "%s.Ss %s\n.Bl -tag -width Ds\n",
				opt == config_options ? "" : ".El\n", opt->group);
		fputs(".It", out);
		if (opt->letter)
			fprintf(out, " Fl %c ,", opt->letter);
		fprintf(out, " Fl -%s", opt->name);
		if (opt->alias)
			fprintf(out, " , Fl -%s", opt->alias);
		if (opt->implied)
			fprintf(out, " Ns Op = Ns Ar %s", opt->value);
		else if (opt->value)
			fprintf(out, " Ar %s", opt->value);
		fputc('\n', out);
		put_text(out, opt->help);
		if (opt->keys)
			put_keys(out, opt->keys);
	}
	fputs(".El\n", out);
}

static void put_verbs(FILE *out)
{
	fputs(".Bl -tag -width Ds\n", out);
	for (const struct verb *verb = verbs; verb->name; verb++) {
		fprintf(out, ".It Cm %s", verb->name);
		if (*verb->arguments)
			/* Or mandoc takes a bracket at the end for punctuation. */
			fprintf(out, " %s\\&", verb->arguments);
		fputc('\n', out);
		put_text(out, verb->text);
	}
	fputs(".El\n", out);
}

static void put_item(FILE *out, const char *label, const char *text)
{
	fprintf(out, ".It %s\n", label);
	put_text(out, text);
}

static void put_key_list(FILE *out)
{
	fputs(".Bl -tag -width \"Ctrl-a Ctrl-a\"\n", out);
#define PUT_KEY(name, text) put_item(out, name, text);
	HELP_KEY_TABLE(PUT_KEY)
#undef PUT_KEY
	fputs(".El\n", out);
}

static void put_exit_codes(FILE *out)
{
	char label[16];

	fputs(".Bl -tag -width \"128+N\"\n", out);
#define PUT_CODE(name, value, text)                                                                \
	snprintf(label, sizeof(label), "%d", value);                                               \
	put_item(out, label, text);
	EXIT_CODE_TABLE(PUT_CODE)
#undef PUT_CODE
	put_item(out, "128+N", "signal N ended vmm");
	fputs(".El\n", out);
}

static void put_line(FILE *out, const char *line)
{
	static const struct {
		const char *mark;
		void (*put)(FILE *out);
	} lists[] = {
		{"@OPTIONS@\n", put_options},
		{"@VERBS@\n", put_verbs},
		{"@KEYS@\n", put_key_list},
		{"@EXIT@\n", put_exit_codes},
	};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		if (!strcmp(line, lists[i].mark)) {
			lists[i].put(out);
			return;
		}
	}
	fputs(line, out);
}

int help_print_man(FILE *out, const char *template, struct err *err)
{
	FILE *in = fopen(template, "re");
	char *line = NULL;
	size_t size = 0;
	int ret = 0;

	if (!in)
		return err_set(err, EXIT_CODE_USAGE, errno, "help: can't open %s: %s", template,
			strerror(errno));
	while (getline(&line, &size, in) >= 0)
		put_line(out, line);
	if (ferror(in))
		ret = err_set(err, EXIT_CODE_USAGE, EIO, "help: can't read %s", template);
	free(line);
	fclose(in);
	return ret;
}
