/*
 * A text as JSON has it. No state; any thread.
 */
#pragma once

#include <stdio.h>

/*
 * Puts the text between quotes, whatever it holds: control characters are escaped, bytes that are
 * no UTF-8 become '?', and with `<` escaped it may stand in a script of an HTML page.
 */
void json_put_text(const char *text, FILE *out);

/* The same without the quotes, for a text of several pieces. */
void json_put_piece(const char *text, FILE *out);
