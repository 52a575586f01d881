/*
 * --help and `vmm help VERB` (see help.h).
 */
#include "vmm/help.h"

#include <errno.h>
#include <string.h>

#include "vmm/base/opts.h"
#include "vmm/config.h"
#include "vmm/verbs.h"

enum {
	WIDTH = 79,
	TEXT_COLUMN = 24, /* of what explains */
};

/*
 * Writes words from `column` on, the next lines from `indent` on, and ends the last
 * line. A column beyond the indent means that a label is too long: a new line.
 */
static void wrap(FILE *out, const char *text, int column, int indent)
{
	bool at_start = true;

	if (column > indent) {
		fputc('\n', out);
		column = 0;
	}
	while (*text) {
		int len = (int)strcspn(text, " ");

		if (!at_start && column + 1 + len > WIDTH) {
			fputc('\n', out);
			column = 0;
			at_start = true;
		}
		if (at_start)
			fprintf(out, "%*s", indent - column, "");
		else
			fputc(' ', out);
		column = (at_start ? MAX(column, indent) : column + 1) + len;
		at_start = false;
		fprintf(out, "%.*s", len, text);
		text += len;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

static void print_row(FILE *out, const char *label, const char *text, int indent)
{
	int column = fprintf(out, "%*s%s", indent, "", label);

	/* Two spaces at least between the label and the text. */
	if (column + 2 > TEXT_COLUMN)
		column = TEXT_COLUMN + 1;
	wrap(out, text, column, TEXT_COLUMN);
}

static void print_option(FILE *out, const struct opt *opt)
{
	char label[120] = "";
	size_t len = 0;

	if (opt->letter)
		len += (size_t)snprintf(label, sizeof(label), "-%c, ", opt->letter);
	len += (size_t)snprintf(label + len, sizeof(label) - len, "--%s", opt->name);
	if (opt->alias)
		len += (size_t)snprintf(label + len, sizeof(label) - len, ", --%s", opt->alias);
	if (opt->value)
		snprintf(label + len, sizeof(label) - len, opt->implied ? "[=%s]" : " %s",
			opt->value);
	print_row(out, label, opt->help, 2);
	for (const struct opt *key = opt->keys; key && key->name; key++) {
		snprintf(label, sizeof(label), "%s%s%s", key->name, key->value ? "=" : "",
			key->value ? key->value : "");
		print_row(out, label, key->help, 6);
	}
}

static void print_verb_row(FILE *out, const struct verb *verb)
{
	char label[80];

	snprintf(label, sizeof(label), "%s %s", verb->name, verb->arguments);
	print_row(out, label, verb->summary, 2);
}

static void print_exit_codes(FILE *out)
{
	char label[8];

#define PRINT_CODE(name, value, text)                                                              \
	snprintf(label, sizeof(label), "%d", value);                                               \
	print_row(out, label, text, 2);
	EXIT_CODE_TABLE(PRINT_CODE)
#undef PRINT_CODE
	print_row(out, "128+N", "signal N ended vmm", 2);
	print_row(out, "else", "what the guest wrote to the debug-exit port 0xf4", 2);
}

static void print_keys(FILE *out)
{
#define PRINT_KEY(name, text) print_row(out, name, text, 2);
	HELP_KEY_TABLE(PRINT_KEY)
#undef PRINT_KEY
}

void help_print_version(FILE *out)
{
	fputs("vmm " VMM_VERSION "\n", out);
}

void help_print_all(FILE *out)
{
	fputs("Usage: vmm [OPTIONS]\n"
	      "       vmm VERB [ARGUMENTS]\n\n"
	      "Runs a virtual machine on KVM. A stock Linux kernel and a disk image:\n"
	      "  vmm --kernel bzImage --disk root.img\n",
		out);
	for (const struct opt *opt = config_options; opt->name; opt++) {
		if (opt->group)
			fprintf(out, "\n%s\n", opt->group);
		print_option(out, opt);
	}
	fputs("\nVerbs\n", out);
	for (const struct verb *verb = verbs; verb->name; verb++)
		print_verb_row(out, verb);
	fputs("\nKeys, when a console is on this terminal\n", out);
	print_keys(out);
	fputs("\nExit status\n", out);
	print_exit_codes(out);
}

int help_print_verb(FILE *out, const char *name, struct err *err)
{
	const struct verb *verb = verb_find(name);
	const char *nearest = verb_nearest(name);
	int ret;

	if (verb) {
		fprintf(out, "Usage: vmm %s%s%s\n\n", verb->name, *verb->arguments ? " " : "",
			verb->arguments);
		wrap(out, verb->text, 0, 0);
		return 0;
	}
	ret = err_set(err, EXIT_CODE_USAGE, EINVAL, "there is no verb '%.60s'", name);
	if (nearest)
		err_hint(err, "Did you mean vmm help %s?", nearest);
	else
		err_hint(err, "vmm --help lists the verbs");
	return ret;
}
