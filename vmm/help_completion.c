/*
 * Completion scripts for bash and zsh (see help.h). They depend on nothing but
 * the shell, and offer for each option what its table entry says: files, words,
 * or the keys inside a value.
 */
#include "vmm/help.h"

#include <errno.h>
#include <string.h>

#include "vmm/base/opts.h"
#include "vmm/config.h"
#include "vmm/verbs.h"

static bool takes_file(const struct opt *opt)
{
	return opt->choices && !strcmp(opt->choices, "file");
}

static void put_verb_names(FILE *out)
{
	for (const struct verb *verb = verbs; verb->name; verb++)
		fprintf(out, "%s%s", verb == verbs ? "" : " ", verb->name);
}

/* "--memory -m" with `between` between the names. */
static void put_names(FILE *out, const struct opt *opt, const char *between)
{
	fprintf(out, "--%s", opt->name);
	if (opt->alias)
		fprintf(out, "%s--%s", between, opt->alias);
	if (opt->letter)
		fprintf(out, "%s-%c", between, opt->letter);
}

/* ---- bash ---- */

/* What completes the value of one option: a branch of `case $prev in`. */
static void put_bash_branch(FILE *out, const struct opt *opt)
{
	fputc('\t', out);
	put_names(out, opt, " | ");
	fputs(")\n", out);
	if (opt->keys) {
		fputs("\t\tif [[ $cur == *,* ]]; then\n\t\t\t_vmm_words '", out);
		for (const struct opt *key = opt->keys; key->name; key++)
			fprintf(out, "%s%s%s", key == opt->keys ? "" : " ", key->name,
				key->value ? "=" : "");
		fputs("' \"${cur%,*},\"\n\t\t\treturn\n\t\tfi\n", out);
	}
	if (takes_file(opt))
		fputs("\t\t_vmm_files\n", out);
	else if (opt->choices)
		fprintf(out, "\t\t_vmm_words '%s'\n", opt->choices);
	fputs("\t\treturn\n\t\t;;\n", out);
}

static void put_bash_options(FILE *out)
{
	for (const struct opt *opt = config_options; opt->name; opt++) {
		fputs(opt == config_options ? "" : " ", out);
		put_names(out, opt, " ");
	}
}

static void put_bash_verbs(FILE *out)
{
	for (const struct verb *verb = verbs; verb->name; verb++) {
		fprintf(out, "\t%s)\n", verb->name);
		if (!strcmp(verb->completes, "file"))
			fputs("\t\t_vmm_files\n", out);
		else if (!strcmp(verb->completes, "verb"))
			fputs("\t\t_vmm_words \"$verbs\"\n", out);
		else if (!strcmp(verb->completes, "machine"))
			fputs("\t\t_vmm_words \"$(\"${COMP_WORDS[0]}\" list -q 2>/dev/null)\"\n",
				out);
		fputs("\t\treturn\n\t\t;;\n", out);
	}
}

/*
 * Readline breaks words at '=' and ':', so an option's value may begin in the middle of
 * what was typed, and candidates must begin where readline thinks the word does.
 */
static void put_bash(FILE *out)
{
	fputs("# bash completion for vmm, made by: vmm help --completion bash\n"
	      "# shellcheck shell=bash disable=SC2207\n\n"
	      "# Candidates: the words that go on from $cur behind the prefix $2.\n"
	      "_vmm_words() {\n"
	      "\tlocal last=${cur#\"${2-}\"} word\n"
	      "\tCOMPREPLY=()\n"
	      "\tfor word in $(compgen -W \"$1\" -- \"$last\"); do\n"
	      "\t\tword=${2-}$word\n"
	      "\t\tCOMPREPLY+=(\"${word#\"$before\"}\")\n"
	      "\tdone\n"
	      "\tcase ${COMPREPLY[*]-} in *= | *:) compopt -o nospace 2>/dev/null ;; esac\n"
	      "}\n\n"
	      "_vmm_files() {\n"
	      "\tcompopt -o filenames 2>/dev/null\n"
	      "\tlocal IFS=$'\\n'\n"
	      "\tCOMPREPLY=($(compgen -f -- \"${cur#\"$before\"}\"))\n"
	      "}\n\n"
	      "_vmm() {\n"
	      "\tlocal cur prev before verbs='",
		out);
	put_verb_names(out);
	fputs("'\n"
	      "\t# Put together again what readline took apart: --serial=file:x\n"
	      "\tlocal at=$COMP_CWORD typed=${COMP_WORDS[COMP_CWORD]}\n"
	      "\tcur=$typed\n"
	      "\twhile ((at > 1)) && [[ ${COMP_WORDS[at]} == [=:] || ${COMP_WORDS[at - 1]} == [=:] "
	      "]]; do\n"
	      "\t\t((at -= 1))\n"
	      "\t\tcur=${COMP_WORDS[at]}$cur\n"
	      "\tdone\n"
	      "\t[[ $typed != [=:] ]] || typed=''\n"
	      "\tbefore=${cur%\"$typed\"}\n"
	      "\tprev=${COMP_WORDS[at - 1]}\n"
	      "\tif [[ $cur == --*=* ]]; then\n"
	      "\t\tprev=${cur%%=*}\n"
	      "\t\tcur=${cur#*=}\n"
	      "\t\tbefore=${before#\"$prev=\"}\n"
	      "\tfi\n"
	      "\tCOMPREPLY=()\n"
	      "\tif ((COMP_CWORD > 1)); then\n"
	      "\t\tcase ${COMP_WORDS[1]} in\n",
		out);
	put_bash_verbs(out);
	fputs("\t\tesac\n\tfi\n\tcase $prev in\n", out);
	for (const struct opt *opt = config_options; opt->name; opt++)
		if (opt->value && !opt->implied)
			put_bash_branch(out, opt);
	fputs("\tesac\n\tlocal first=''\n\t((COMP_CWORD > 1)) || first=$verbs\n\t_vmm_words '",
		out);
	put_bash_options(out);
	fputs("'\" $first\"\n}\n\ncomplete -F _vmm vmm\n", out);
}

/* ---- zsh ---- */

/* The first sentence, fit for the [description] of _arguments inside single quotes. */
static void put_zsh_text(FILE *out, const char *text)
{
	for (; *text && strncmp(text, ". ", 2) != 0; text++) {
		if (*text == '\'')
			fputs("'\\'", out);
		else if (strchr("[]:\\", *text))
			fputc('\\', out);
		if (text[0] != '.' || text[1])
			fputc(*text, out);
	}
}

static void put_zsh_value(FILE *out, const struct opt *opt)
{
	if (!opt->value)
		return;
	fputs(opt->implied ? "::" : ":", out);
	put_zsh_text(out, opt->value);
	fputc(':', out);
	if (takes_file(opt)) {
		fputs("_files", out);
	} else if (opt->choices) {
		fputc('(', out);
		put_zsh_text(out, opt->choices);
		fputc(')', out);
	}
}

static void put_zsh_spec(FILE *out, const struct opt *opt, const char *dashes, const char *name)
{
	fputs("\t\t'", out);
	if (opt->repeats) {
		fputc('*', out);
	} else {
		fputc('(', out);
		put_names(out, opt, " ");
		fputc(')', out);
	}
	fprintf(out, "%s%s%s[", dashes, name,
		opt->implied	      ? "=-"
			: !opt->value ? ""
			: dashes[1]   ? "="
				      : "+");
	put_zsh_text(out, opt->help);
	fputc(']', out);
	put_zsh_value(out, opt);
	fputs("' \\\n", out);
}

static const char *zsh_completer(const struct verb *verb)
{
	if (!strcmp(verb->completes, "file"))
		return "_files";
	if (!strcmp(verb->completes, "verb"))
		return "_describe verb verbs";
	if (!strcmp(verb->completes, "machine"))
		return "compadd -- ${(f)\"$($words[1] list -q 2>/dev/null)\"}";
	return "return 0";
}

static void put_zsh_verbs(FILE *out)
{
	fputs("\tverbs=(\n", out);
	for (const struct verb *verb = verbs; verb->name; verb++) {
		fprintf(out, "\t\t'%s:", verb->name);
		put_zsh_text(out, verb->summary);
		fputs("'\n", out);
	}
	fputs("\t)\n"
	      "\tif ((CURRENT > 2)); then\n"
	      "\t\tcase $words[2] in\n",
		out);
	for (const struct verb *verb = verbs; verb->name; verb++)
		fprintf(out, "\t\t%s) %s; return ;;\n", verb->name, zsh_completer(verb));
	fputs("\t\tesac\n"
	      "\telif [[ $words[2] != -* ]]; then\n"
	      "\t\t_describe verb verbs\n"
	      "\tfi\n",
		out);
}

static void put_zsh(FILE *out)
{
	fputs("#compdef vmm\n"
	      "# zsh completion for vmm, made by: vmm help --completion zsh\n\n"
	      "_vmm() {\n"
	      "\tlocal -a verbs\n",
		out);
	put_zsh_verbs(out);
	fputs("\t_arguments -s -S \\\n", out);
	for (const struct opt *opt = config_options; opt->name; opt++) {
		const char letter[2] = {opt->letter};

		put_zsh_spec(out, opt, "--", opt->name);
		if (opt->alias)
			put_zsh_spec(out, opt, "--", opt->alias);
		if (opt->letter)
			put_zsh_spec(out, opt, "-", letter);
	}
	fputs("\t\t&& return 0\n}\n\n"
	      "# Loaded by name it completes at once; sourced it only registers itself.\n"
	      "if [[ $funcstack[1] == _vmm ]]; then\n"
	      "\t_vmm \"$@\"\n"
	      "else\n"
	      "\tcompdef _vmm vmm\n"
	      "fi\n",
		out);
}

int help_print_completion(FILE *out, const char *shell, struct err *err)
{
	if (!strcmp(shell, "bash"))
		put_bash(out);
	else if (!strcmp(shell, "zsh"))
		put_zsh(out);
	else
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"help: there is no completion for '%.60s', only for bash and zsh", shell);
	return 0;
}
