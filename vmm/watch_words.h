/*
 * Words of a kernel command line and text of a guest, for watch_judge.c and watch_explain.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * The value of the nth word NAME=VALUE, cut to fit; false when there are not so many. Quotes are not
 * looked at: no value that is asked for here has any.
 */
bool watch_find_word(const char *line, const char *name, unsigned nth, char *value, size_t size);

/* Copies text of a guest with '?' for what is not printable ASCII; cut to fit. */
void watch_clean(const char *text, char *out, size_t size);
