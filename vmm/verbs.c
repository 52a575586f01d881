/*
 * See verbs.h. Texts only: what a verb does is main.c's.
 */
#include "vmm/verbs.h"

#include <string.h>

#include "vmm/base/opts.h"

const struct verb verbs[] = {
#define VERB(name, arguments, completes, summary, text)                                            \
	{#name, arguments, completes, summary, text},
	VERB_TABLE(VERB) TOOL_TABLE(VERB)
#undef VERB
		{.name = NULL},
};

const struct verb *verb_find(const char *name)
{
	for (const struct verb *verb = verbs; verb->name; verb++)
		if (!strcmp(verb->name, name))
			return verb;
	return NULL;
}

const char *verb_nearest(const char *word)
{
#define VERB(name, arguments, completes, summary, text) #name,
	static const char *const names[] = {VERB_TABLE(VERB) TOOL_TABLE(VERB) NULL};
#undef VERB

	return opts_nearest(word, names);
}
