/*
 * Writes AML, the byte code of ACPI definition blocks, as far as a static
 * description of devices needs it.
 *
 * Source: ACPI 6.4, chapter 20 (AML) and 6.4 (resource descriptors).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Bytes beyond `room` are dropped and counted: when all is written, used > room
 * says that it did not fit. Opened objects are closed in reverse order.
 */
struct aml {
	uint8_t *buf; /* borrowed */
	size_t room;
	size_t used;
};

/* Names are of four characters, e.g. "_HID"; aml_scope() takes one of the root's: "_SB_". */
size_t aml_scope(struct aml *aml, const char *name);
size_t aml_device(struct aml *aml, const char *name);
void aml_close(struct aml *aml, size_t opened);

/* Name (NAME, value). */
void aml_name_integer(struct aml *aml, const char *name, uint64_t value);
void aml_name_package(struct aml *aml, const char *name, const uint8_t *values, uint8_t count);

/* _HID: as EISA id where the text is one ("PNP0501"), else as string ("LNRO0005"). */
void aml_name_hid(struct aml *aml, const char *hid);

/* Name (_CRS, ResourceTemplate () { … }): descriptors between begin and end. */
size_t aml_crs_begin(struct aml *aml);
void aml_crs_end(struct aml *aml, size_t opened);
void aml_crs_io(struct aml *aml, uint16_t base, uint8_t size);
void aml_crs_memory32(struct aml *aml, uint32_t base, uint32_t size);
void aml_crs_memory64(struct aml *aml, uint64_t base, uint64_t size);
void aml_crs_irq(struct aml *aml, uint32_t gsi, bool level, bool shared);
