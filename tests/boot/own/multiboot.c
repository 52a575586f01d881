/*
 * A Multiboot kernel that prints what it is told, a line each, on the serial port, and ends with
 * status 0. -DVERSION=1 or 2; -DADDRESSES: a header that says itself where the file goes, for a
 * file that is no ELF; -DREQUIRE=N: it requires bit or tag N. Of 32 or 64 bits as a file, always
 * of 32 when it runs.
 */
#include <stdint.h>

#ifndef REQUIRE
#define REQUIRE 0
#endif

extern const char image_start[], image_end[], bss_end[];

/* clang-format off */
#if VERSION == 1
#ifdef ADDRESSES
#define FLAGS (0x10003 | REQUIRE)
#else
#define FLAGS (3 | REQUIRE)
#endif
#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
__asm__(".section .header, \"a\"\n"
	".balign 4\n"
	"header: .long 0x1badb002, " TEXT(FLAGS) ", -(0x1badb002 + " TEXT(FLAGS) ")\n"
	".long header, image_start, image_end, bss_end, start\n");
#else
#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
__asm__(".section .header, \"a\"\n"
	".balign 8\n"
	"header: .long 0xe85250d6, 0, header_end - header\n"
	".long -(0xe85250d6 + header_end - header)\n"
#ifdef ADDRESSES
	".balign 8\n .short 2, 0\n .long 24, header, image_start, image_end, bss_end\n"
	".balign 8\n .short 3, 0\n .long 12, start\n"
#endif
#if REQUIRE
	".balign 8\n .short " TEXT(REQUIRE) ", 0\n .long 20, 0, 0, 32\n"
#endif
	/* Modules and the memory map have to be told; a console, if it can be. */
	".balign 8\n .short 1, 0\n .long 16, 3, 6\n"
	".balign 8\n .short 4, 1\n .long 12, 3\n"
	".balign 8\n .short 0, 0\n .long 8\n"
	"header_end:\n");
#endif

__asm__(".text\n .code32\n .globl start\n"
	"start: mov $stack_top, %esp\n"
	"push %edi\n push %ebx\n push %eax\n"
	"call kernel\n"
	"1: hlt\n jmp 1b\n"
	".bss\n .balign 16\n .skip 4096\n stack_top:\n .text\n");
/* clang-format on */

static uint8_t status(void)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"((uint16_t)0x3fd));
	return value;
}

static void put(char c)
{
	while (!(status() & 0x20))
		;
	__asm__ volatile("outb %0, %1" : : "a"(c), "Nd"((uint16_t)0x3f8));
}

static void say(const char *text)
{
	while (*text)
		put(*text++);
}

static void number(const char *text, uint64_t value)
{
	say(text);
	for (int at = 60; at >= 0; at -= 4)
		if (value >> at || !at)
			put("0123456789abcdef"[value >> at & 15]);
}

static const void *at(uint32_t address)
{
	return (const void *)(uintptr_t)address;
}

static void module(uint32_t start, uint32_t end, const char *words)
{
	say("module ");
	say(words);
	say(": ");
	for (uint32_t i = start; i < end; i++)
		put(*(const char *)at(i));
	number(" aligned ", start % 4096 == 0 && start >= (uint32_t)(uintptr_t)bss_end);
	say("\n");
}

static void memory(uint64_t base, uint64_t bytes, uint32_t type)
{
	number("memory ", base);
	number(" + ", bytes);
	number(" type ", type);
	say("\n");
}

static void screen(uint64_t base, uint32_t stride, uint32_t width, uint32_t height, unsigned depth)
{
	number("screen ", base);
	number(" stride ", stride);
	number(" size ", width);
	number(" x ", height);
	number(" depth ", depth);
	say("\n");
}

static void text(const char *name, const char *value)
{
	say(name);
	say(value);
	say("\n");
}

#if VERSION == 1
static void tell(const uint32_t *info)
{
	const uint32_t *modules = at(info[6]);
	uint32_t flags = info[0], map = info[12], end = map + info[11];

	number("flags ", flags);
	number("\nlower ", info[1]);
	number(" upper ", info[2]);
	text("\nwords ", at(info[4]));
	text("loader ", at(info[16]));
	for (uint32_t i = 0; i < info[5]; i++)
		module(modules[4 * i], modules[4 * i + 1], at(modules[4 * i + 2]));
	while (map < end) {
		const uint32_t *entry = at(map);

		memory((uint64_t)entry[2] << 32 | entry[1], (uint64_t)entry[4] << 32 | entry[3],
			entry[5]);
		map += entry[0] + 4;
	}
	if (flags & 1 << 12)
		screen((uint64_t)info[23] << 32 | info[22], info[24], info[25], info[26],
			info[27] & 0xff);
}
#else
static void tell_map(const uint32_t *tag)
{
	for (uint32_t i = 4; i < tag[1] / 4; i += tag[2] / 4)
		memory((uint64_t)tag[i + 1] << 32 | tag[i], (uint64_t)tag[i + 3] << 32 | tag[i + 2],
			tag[i + 4]);
}

static void tell(const uint32_t *info)
{
	for (const uint32_t *tag = info + 2; tag[0];
		tag = at(((uint32_t)(uintptr_t)tag + tag[1] + 7) & ~7u)) {
		if (tag[0] == 1)
			text("words ", (const char *)(tag + 2));
		else if (tag[0] == 2)
			text("loader ", (const char *)(tag + 2));
		else if (tag[0] == 3)
			module(tag[2], tag[3], (const char *)(tag + 4));
		else if (tag[0] == 4) {
			number("lower ", tag[2]);
			number(" upper ", tag[3]);
			say("\n");
		} else if (tag[0] == 6)
			tell_map(tag);
		else if (tag[0] == 8)
			screen((uint64_t)tag[3] << 32 | tag[2], tag[4], tag[5], tag[6],
				tag[7] & 0xff);
		else if (tag[0] == 14 || tag[0] == 15)
			say(tag[2] == 0x20445352 ? "rsdp\n" : "no rsdp\n");
	}
}
#endif

/* For what the compiler makes of loops. */
void *memset(void *place, int value, unsigned long len);
void *memset(void *place, int value, unsigned long len)
{
	for (unsigned long i = 0; i < len; i++)
		((volatile char *)place)[i] = (char)value;
	return place;
}

__attribute__((regparm(0))) void kernel(uint32_t magic, const uint32_t *info, const uint32_t *tree);
__attribute__((regparm(0))) void kernel(uint32_t magic, const uint32_t *info, const uint32_t *tree)
{
	static char zeros[16];
	unsigned sum = 0;

	number("magic ", magic);
	number("\ntree ", *tree);
	for (unsigned i = 0; i < sizeof(zeros); i++)
		sum += ((volatile char *)zeros)[i];
	number("\nbss ", sum);
	say("\n");
	tell(info);
	__asm__ volatile("outb %0, %1" : : "a"((uint8_t)0), "Nd"((uint16_t)0xf4));
}
