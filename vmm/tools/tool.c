/*
 * See tool.h.
 */
#include "vmm/tools/tool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/log.h"

int tool_parse(const struct opt *options, const char *verb, int argc, char *const *argv,
	void *target, const char **file, struct err *err)
{
	*file = NULL;
	while (argc > 0) {
		int used, ret = opts_parse_words(options, argc, argv, target, &used, err);

		if (ret < 0)
			return ret;
		argc -= used;
		argv += used;
		if (argc <= 0)
			break;
		if (*file) {
			err_set(err, EXIT_CODE_USAGE, EINVAL,
				"%s: there is no use for the word '%.60s'", verb, argv[0]);
			err_hint(err, "vmm help %s says what it takes", verb);
			return -EINVAL;
		}
		*file = argv[0];
		argc--;
		argv++;
	}
	if (!*file)
		return err_set(err, EXIT_CODE_USAGE, EINVAL, "%s needs a FILE", verb);
	return 0;
}

static void print_sentence(const char *text)
{
	size_t len = strlen(text);

	log_error("%s%s", text, len && strchr(".?!", text[len - 1]) ? "" : ".");
}

int tool_finish(int status, struct err *err)
{
	if ((fflush(stdout) || ferror(stdout)) && status == EXIT_CODE_OK) {
		err_set(err, EXIT_CODE_INTERNAL, EIO, "can't write to standard output");
		status = EXIT_CODE_INTERNAL;
	}
	if (err_is_set(err)) {
		print_sentence(err->text);
		if (err->hint[0])
			print_sentence(err->hint);
	}
	return status;
}
