/*
 * The fields of Linux's setup header by name, for those who show it to people: vmm inspect what
 * a file says, --explain what the kernel is told.
 *
 * Source: Linux Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header".
 */
#pragma once

#include <asm/bootparam.h>
#include <stdbool.h>
#include <stdint.h>

struct setup_field {
	uint16_t offset;	 /* in the file, and in boot_params */
	uint8_t size;		 /* bytes */
	uint16_t since;		 /* boot protocol: 0x020a is 2.10 */
	bool by_loader;		 /* the boot loader fills it in */
	char name[22], text[72]; /* no pointers, which the loader would have to relocate */
};

/* In the order of the header; ended by an empty name. */
extern const struct setup_field setup_fields[];

uint64_t setup_field_value(const struct setup_header *header, const struct setup_field *field);
