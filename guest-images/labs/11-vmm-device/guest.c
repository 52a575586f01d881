/* The guest of the last test: throws, and sleeps until the interrupt says that there are results. */
#include "interrupts.h"

enum {
	PORT = 0x5d0,
	THROW = PORT,
	SIDES = PORT + 1,
	RESULT = PORT + 2, /* written: the seed */
	COUNT = PORT + 3,
	MARK = 0xd1,
	IRQ = 5,
};

static volatile bool has_interrupted;

static struct frame *handle_interrupt(struct frame *frame)
{
	while (inb(COUNT)) {
		print_number(inb(RESULT));
		print("\n");
	}
	has_interrupted = true;
	pic_done(IRQ);
	return frame;
}

int kmain(const char *words, const uint8_t *boot_params)
{
	(void)words;
	(void)boot_params;
	if (inb(THROW) != MARK) {
		print("no dice\n");
		return 1;
	}
	interrupts_init();
	pic_init();
	interrupts_set_handler(PIC_VECTOR + IRQ, handle_interrupt);
	pic_unmask(IRQ);
	outb(SIDES, 20);
	outb(RESULT, 42);
	for (unsigned i = 0; i < 3; i++)
		outb(THROW, 0);
	while (!has_interrupted) {
		sti_hlt();
		cli();
	}
	return 0;
}
