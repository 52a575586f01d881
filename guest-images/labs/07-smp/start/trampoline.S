/*
 * Step 2: what a processor does first. It starts in real mode, at TRAMPOLINE (smp.h), where
 * cpu_start() has to copy this. Here all addresses are counted from the start of the segment, which
 * CS names.
 */
	.section .rodata
	.balign	16
	.code16
	.globl	trampoline, trampoline_end
trampoline:
	cli
1:	hlt
	jmp	1b
trampoline_end:

	/* From here on it could run in the kernel itself. */
	.text
	.code64
	.section .note.GNU-stack, "", @progbits
