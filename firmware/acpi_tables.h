/*
 * The layouts of the ACPI tables, and how the files of this folder that write
 * them share one piece of memory. For acpi*.c only.
 *
 * Source: ACPI 6.4, chapter 5.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "firmware/boot.h"
#include "vmm/core/gmem.h"

struct acpi_rsdp {
	char signature[8];
	uint8_t checksum; /* of the first 20 bytes */
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} __attribute__((packed));

struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} __attribute__((packed));

/* Generic address structure, 5.2.3.2. */
struct acpi_gas {
	uint8_t space; /* 1 = port */
	uint8_t bits;
	uint8_t bit_offset;
	uint8_t access; /* 1 = byte, 2 = word, 3 = dword */
	uint64_t address;
} __attribute__((packed));

struct acpi_fadt {
	struct acpi_header header;
	uint32_t facs;
	uint32_t dsdt;
	uint8_t reserved1;
	uint8_t profile;
	uint16_t sci_irq;
	uint32_t smi_command;
	uint8_t acpi_enable, acpi_disable, s4bios, pstate;
	uint32_t pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control;
	uint32_t pm_timer, gpe0, gpe1;
	uint8_t pm1_event_len, pm1_control_len, pm2_control_len, pm_timer_len;
	uint8_t gpe0_len, gpe1_len, gpe1_base, cst;
	uint16_t c2_latency, c3_latency, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
	uint16_t boot_arch;
	uint8_t reserved2;
	uint32_t flags;
	struct acpi_gas reset_register;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor_revision;
	uint64_t x_facs, x_dsdt;
	struct acpi_gas x_pm1a_event, x_pm1b_event, x_pm1a_control, x_pm1b_control;
	struct acpi_gas x_pm2_control, x_pm_timer, x_gpe0, x_gpe1;
	struct acpi_gas sleep_control, sleep_status;
	uint64_t hypervisor;
} __attribute__((packed));

struct acpi_facs {
	char signature[4];
	uint32_t length;
	uint32_t hardware_signature;
	uint32_t waking_vector;
	uint32_t global_lock;
	uint32_t flags;
	uint64_t x_waking_vector;
	uint8_t version;
	uint8_t reserved[31];
} __attribute__((packed));

_Static_assert(sizeof(struct acpi_rsdp) == 36, "ACPI 6.4, 5.2.5.3");
_Static_assert(sizeof(struct acpi_header) == 36, "ACPI 6.4, 5.2.6");
_Static_assert(sizeof(struct acpi_fadt) == 276, "ACPI 6.4, 5.2.9");
_Static_assert(sizeof(struct acpi_facs) == 64, "ACPI 6.4, 5.2.10");

/* ---- Writing ---- */

enum {
	ACPI_TABLES_ALIGN = 64
};

struct acpi_build {
	const struct boot_machine *machine;
	gpa_t base;   /* what the guest sees `buf` at */
	uint8_t *buf; /* borrowed */
	size_t room;
	size_t used; /* beyond `room`: it did not fit */
};

/* The place for `bytes` at the next free offset, zeroed; NULL when there is no room. */
void *acpi_take(struct acpi_build *b, size_t bytes, size_t align);

/* Copies behind what was taken. */
void acpi_append(struct acpi_build *b, const void *data, size_t bytes);

void acpi_fill_header(struct acpi_header *header, const char *signature, uint8_t revision);

/* The table that begins at offset `start` ends here: sets length and checksum. */
void acpi_seal(struct acpi_build *b, size_t start);

/* Each adds its table and returns the offset where it begins. */
size_t acpi_add_dsdt(struct acpi_build *b);
size_t acpi_add_madt(struct acpi_build *b);
