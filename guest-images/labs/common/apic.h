/*
 * The way of an interrupt from the I/O APIC to the processor (apic.c), for devices that are not on
 * one of the 8259s' lines.
 */
#pragma once

#include <stdint.h>

/* Switches the processor's local APIC on. */
void apic_init(void);
/* An edge at that pin of the I/O APIC (0 to 23) calls that vector (from 32 on). */
void apic_route(unsigned pin, uint8_t vector);
/* Tells that an interrupt was served. */
void apic_done(void);
