/*
 * See apic.h. The local APIC: SDM volume 3, chapter "Advanced Programmable Interrupt Controller".
 * The I/O APIC: Intel's data sheet 82093AA (290566), section 3.
 */
#include "apic.h"

#define LOCAL_APIC 0xfee00000
#define IO_APIC	   0xfec00000

enum {
	/* Of the local APIC */
	END_OF_INTERRUPT = 0x0b0,
	SPURIOUS_VECTOR = 0x0f0,
	SPURIOUS_ENABLED = 0x1ff, /* with the vector 255, which nothing uses */

	/* Of the I/O APIC */
	REGISTER_SELECT = 0x00,
	REGISTER_DATA = 0x10,
	REDIRECTION_TABLE = 0x10, /* two registers for each pin */
};

static volatile uint32_t *at(uint64_t address)
{
	return (volatile uint32_t *)address;
}

static void write_io_apic(unsigned number, uint32_t value)
{
	*at(IO_APIC + REGISTER_SELECT) = number;
	*at(IO_APIC + REGISTER_DATA) = value;
}

void apic_init(void)
{
	*at(LOCAL_APIC + SPURIOUS_VECTOR) = SPURIOUS_ENABLED;
}

void apic_route(unsigned pin, uint8_t vector)
{
	/* To processor 0; then: fixed, active high, edge, not masked. All that is zero bits. */
	write_io_apic(REDIRECTION_TABLE + 2 * pin + 1, 0);
	write_io_apic(REDIRECTION_TABLE + 2 * pin, vector);
}

void apic_done(void)
{
	*at(LOCAL_APIC + END_OF_INTERRUPT) = 0;
}
