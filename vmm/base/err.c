/*
 * See err.h. No global state.
 */
#include "vmm/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* File names and guest strings may carry escape sequences meant for a terminal. */
static void clean_controls(char *text)
{
	util_clean_controls(text, strlen(text), 0);
}

int err_set(struct err *err, enum exit_code kind, int errnum, const char *format, ...)
{
	va_list args;

	ASSERT(kind != EXIT_CODE_OK && errnum >= 0);
	if (err && !err_is_set(err)) {
		err->kind = kind;
		err->errnum = errnum;
		va_start(args, format);
		vsnprintf(err->text, sizeof(err->text), format, args);
		va_end(args);
		clean_controls(err->text);
	}
	return errnum ? -errnum : -EINVAL;
}

void err_hint(struct err *err, const char *format, ...)
{
	va_list args;

	if (!err || err->hint[0])
		return;
	va_start(args, format);
	vsnprintf(err->hint, sizeof(err->hint), format, args);
	va_end(args);
	clean_controls(err->hint);
}

bool err_is_set(const struct err *err)
{
	return err && err->kind != EXIT_CODE_OK;
}

void err_clear(struct err *err)
{
	if (err)
		*err = (struct err)ERR_INIT;
}
