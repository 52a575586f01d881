/* What main.c alone needs of memory.c. */
#pragma once

#include "user.h"

/* Makes the tables. */
void memory_init(void);

/* Puts a program of at most PAGE_BYTES into the page of code, and empties the stack. */
void memory_load(const uint8_t *from, const uint8_t *end);
