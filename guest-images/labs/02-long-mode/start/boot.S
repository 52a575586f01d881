/*
 * From real mode to long mode, in one sector. report.S has report_real, report_protected and
 * report_long, and the linker puts the mark 55 aa behind all of it.
 */
	.text
	.code16
	.globl	_start
_start:
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7c00, %sp
	cld
	call	report_real

	/* Step 1: a descriptor table (LGDT), CR0.PE, and a far jump to 32-bit code. */
	/* Step 2: page tables, CR4.PAE, CR3, EFER.LME, CR0.PG, and a far jump to 64-bit code. */
	movb	$1, %al
	outb	%al, $0xf4
1:	hlt
	jmp	1b
	.section .note.GNU-stack, "", @progbits
