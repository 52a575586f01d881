/*
 * Prints on the serial port. It is always ready in vmm, so nothing is asked before a character is
 * written; lab 03 is about doing it properly.
 */
#include "lab.h"

void print_char(char c)
{
	outb(0x3f8, (uint8_t)c);
}

void print(const char *text)
{
	while (*text)
		print_char(*text++);
}

void print_hex(uint64_t value, unsigned digits)
{
	while (digits--)
		print_char("0123456789abcdef"[value >> (4 * digits) & 15]);
}

void print_number(uint64_t value)
{
	char text[20];
	unsigned n = 0;

	do
		text[n++] = (char)('0' + value % 10);
	while (value /= 10);
	while (n)
		print_char(text[--n]);
}
