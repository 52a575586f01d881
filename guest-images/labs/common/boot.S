/*
 * The first instructions of a lab's kernel. vmm enters an ELF file as Linux's 64-bit boot protocol
 * says (Linux Documentation/arch/x86/boot.rst, "64-bit boot protocol"): long mode, the low 4 GiB
 * mapped to themselves, flat segments (code 0x10, data 0x18), interrupts off, no IDT, and RSI leads
 * to boot_params. Only the boot processor runs.
 */
#define CMD_LINE_PTR	0x228	/* in boot_params */
#define EXIT_PORT	0xf4	/* a byte written here ends the machine with that status */

	.section .text.start, "ax"
	.code64
	.globl	_start
_start:
	lea	stack_top(%rip), %rsp
	xor	%ebp, %ebp
	/* kmain(words, boot_params) */
	mov	CMD_LINE_PTR(%rsi), %edi
	call	kmain
	out	%al, $EXIT_PORT
1:	hlt
	jmp	1b

	.bss
	.balign	16
	.skip	16384
stack_top:
	.section .note.GNU-stack, "", @progbits
