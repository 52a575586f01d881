/*
 * What every lab's kernel can use: ports, a few instructions of the processor, and the end.
 *
 * A kernel is entered at kmain(), in 64-bit mode on one processor with interrupts off; what it
 * returns is the machine's exit status.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `words` is the kernel's command line; `boot_params` is Linux's (zero-page.rst). */
int kmain(const char *words, const uint8_t *boot_params);

/* ---- Ports (Intel SDM volume 1, chapter 19) ---- */

static inline void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

/* ---- Interrupts (SDM volume 3, chapter 6) ---- */

static inline void cli(void)
{
	__asm__ volatile("cli" : : : "memory");
}

static inline void sti(void)
{
	__asm__ volatile("sti" : : : "memory");
}

/* Waits for an interrupt. No interrupt is lost between the two instructions: sti holds them back. */
static inline void sti_hlt(void)
{
	__asm__ volatile("sti; hlt" : : : "memory");
}

static inline void hlt(void)
{
	__asm__ volatile("hlt" : : : "memory");
}

/* ---- The end ---- */

/* Ends the machine; vmm ends with this status. */
static inline _Noreturn void exit_vm(uint8_t status)
{
	outb(0xf4, status);
	for (;;)
		__asm__ volatile("cli; hlt");
}

/* ---- Words of the command line (options.c) ---- */

/* Whether `word` stands in `words`, with blanks or an end round it. */
bool has_word(const char *words, const char *word);

/* ---- The console (console.c): the serial port, each character as it is ---- */

void print(const char *text);
void print_char(char c);
/* As so many hexadecimal digits. */
void print_hex(uint64_t value, unsigned digits);
void print_number(uint64_t value);
