/*
 * The guests' code of probe.c: one position-independent block of 64-bit code, and where
 * in it each entry is. Private to vmm/kvm.
 */
#pragma once

#include <stdint.h>

/* Where the host side puts things in the guest's memory. */
#define PROBE_GDT     0x500
#define PROBE_IDTR    0x5f0
#define PROBE_TABLES  0x1000 /* PML4, PDPT, two PDs */
#define PROBE_IDT     0x6000
#define PROBE_STACK   0x9000
#define PROBE_DATA    0x9000
#define PROBE_CODE    0x10000
#define PROBE_MEMORY  0x20000
#define PROBE_VECTORS 0x40

/* Ports by which the guests talk to their host side, four bytes wide. */
#define PROBE_PORT_RESULT 0x500
#define PROBE_PORT_READY  0x504
#define PROBE_PORT_COUNT  0x508
#define PROBE_PORT_ACK	  0x50c
#define PROBE_PORT_BELL	  0x600
#define PROBE_MMIO_BELL	  0xd0000000

/* Pins and vectors of the interrupt guests. */
#define PROBE_LEVEL_PIN	   20
#define PROBE_EDGE_PIN	   21
#define PROBE_VECTOR_INT3  3
#define PROBE_VECTOR_LEVEL 0x30
#define PROBE_VECTOR_EDGE  0x31
#define PROBE_VECTOR_MSI   0x32

/* Results that a guest writes. */
#define PROBE_RESULT_BAD    0
#define PROBE_RESULT_GOOD   1
#define PROBE_RESULT_ABSENT 2

extern const uint8_t probe_code[], probe_code_end[];
extern const uint8_t probe_code_loop[], probe_code_cmpxchg16b[], probe_code_int3[],
	probe_code_xsave[], probe_code_interrupt[], probe_code_bell_pio[], probe_code_bell_mmio[];
extern const uint8_t probe_code_on_int3[], probe_code_on_level[], probe_code_on_edge[],
	probe_code_on_msi[];
