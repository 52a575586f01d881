/* See interrupts.h. The table's format: SDM volume 3, 6.14.1. The 8259: Intel's data sheet 231468. */
#include "interrupts.h"

struct gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_middle;
	uint32_t offset_high, reserved;
};

struct table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

enum {
	CODE_SELECTOR = 0x10,
	GATE_INTERRUPT = 0x8e, /* present, ring 0, interrupts off in the handler */
	STUB_BYTES = 16,
	PIC1 = 0x20,
	PIC2 = 0xa0,
	PIC_CASCADE = 2,
	STATUS_EXCEPTION = 200,
};

extern const char interrupt_stubs[];
struct frame *interrupts_dispatch(struct frame *frame);

static struct gate gates[256];
static handler_fn *handlers[256];

struct frame *interrupts_dispatch(struct frame *frame)
{
	if (!handlers[frame->vector])
		exit_vm((uint8_t)(STATUS_EXCEPTION + (frame->vector < 32 ? frame->vector : 32)));
	return handlers[frame->vector](frame);
}

void interrupts_set_handler(uint8_t vector, handler_fn *fn)
{
	handlers[vector] = fn;
}

void interrupts_init(void)
{
	const struct table_register idtr = {sizeof(gates) - 1, (uint64_t)gates};

	for (unsigned i = 0; i < 256; i++) {
		uint64_t stub = (uint64_t)interrupt_stubs + i * STUB_BYTES;

		gates[i] = (struct gate){
			.offset_low = (uint16_t)stub,
			.selector = CODE_SELECTOR,
			.type = GATE_INTERRUPT,
			.offset_middle = (uint16_t)(stub >> 16),
			.offset_high = (uint32_t)(stub >> 32),
		};
	}
	__asm__ volatile("lidt %0" : : "m"(idtr));
}

void pic_init(void)
{
	/* ICW1: edge, cascade, ICW4 follows. ICW2: vectors. ICW3: how they are joined. ICW4: 8086. */
	outb(PIC1, 0x11);
	outb(PIC1 + 1, PIC_VECTOR);
	outb(PIC1 + 1, 1 << PIC_CASCADE);
	outb(PIC1 + 1, 1);
	outb(PIC2, 0x11);
	outb(PIC2 + 1, PIC_VECTOR + 8);
	outb(PIC2 + 1, PIC_CASCADE);
	outb(PIC2 + 1, 1);
	outb(PIC1 + 1, 0xff & ~(1 << PIC_CASCADE));
	outb(PIC2 + 1, 0xff);
}

void pic_unmask(unsigned irq)
{
	uint16_t port = (irq < 8 ? PIC1 : PIC2) + 1;

	outb(port, inb(port) & (uint8_t) ~(1 << (irq & 7)));
}

void pic_done(unsigned irq)
{
	if (irq >= 8)
		outb(PIC2, 0x20);
	outb(PIC1, 0x20);
}
