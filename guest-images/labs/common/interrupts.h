/*
 * The interrupt descriptor table with a stub for each vector, and the two 8259 controllers
 * (interrupts.c, interrupts_entry.S).
 */
#pragma once

#include "lab.h"

/* What the stubs and the processor leave on the stack (SDM volume 3, 6.14.2). */
struct frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, error; /* 0 where the vector has no error code */
	uint64_t rip, cs, rflags, rsp, ss;
};

/* Returns the frame to go on with: `frame`, or that of another task. Interrupts are off. */
typedef struct frame *handler_fn(struct frame *frame);

/*
 * Loads the table. A vector without a handler ends the machine with status 200 + the vector, or 232
 * for those from 32 on.
 */
void interrupts_init(void);
void interrupts_set_handler(uint8_t vector, handler_fn *fn);

/* The vector of the ISA interrupt 0; interrupt N has PIC_VECTOR + N. */
#define PIC_VECTOR 0x20

/* Programs both 8259s, all interrupts masked. */
void pic_init(void);
void pic_unmask(unsigned irq);
/* Tells that an interrupt was served. */
void pic_done(unsigned irq);
