/*
 * One interrupt wire, from a device to whatever delivers it: KVM's interrupt
 * chip in a running machine, a counter in a test.
 *
 * Both calls may come from any thread and never block. A level line keeps its
 * level until set again; an edge line is pulsed.
 */
#pragma once

#include <stdbool.h>

struct irq_line {
	void (*set)(struct irq_line *line, bool level);
	void (*pulse)(struct irq_line *line);
	/*
	 * An eventfd that pulses an edge line when it is written to, for others than us; owned by
	 * whoever made the line. NULL, or -1 from it: there is none.
	 */
	int (*pulse_fd)(const struct irq_line *line);
	void *opaque; /* of whoever made the line */
	unsigned gsi; /* global system interrupt: the IOAPIC pin, 0 to 23 */
};

static inline void irq_set(struct irq_line *line, bool level)
{
	line->set(line, level);
}

static inline void irq_pulse(struct irq_line *line)
{
	line->pulse(line);
}
