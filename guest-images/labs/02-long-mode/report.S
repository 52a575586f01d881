/*
 * What the boot sector calls in each mode. It prints on the serial port (0x3f8) in which state the
 * processor is: not the student's. All of it fits into the sector besides his code.
 *
 *   report_real       call it in real mode; keeps all registers but AX, CX, DX
 *   report_protected  call it in 32-bit protected mode; the same of EAX, ECX, EDX
 *   report_long       jump to it in 64-bit mode; ends the machine
 */
#define SERIAL 0x3f8
#define EXIT_PORT 0xf4
#define MSR_EFER 0xc0000080
#define HIGHEST 0x1fffff8	/* the last eight bytes of the machine's 32 MiB */

	.text
	.globl	report_real, report_protected, report_long

	.code16
report_real:
	movw	$SERIAL, %dx
	movb	$'R', %al
	outb	%al, %dx
	smsw	%ax
	andb	$1, %al
	addb	$'0', %al
	outb	%al, %dx
	movb	$'\n', %al
	outb	%al, %dx
	ret

	.code32
report_protected:
	movw	$SERIAL, %dx
	movb	$'P', %al
	outb	%al, %dx
	movl	%cr0, %eax
	andb	$1, %al
	addb	$'0', %al
	outb	%al, %dx
	/* 16-bit code would read these as other instructions, and not print 32. */
	pushl	$0x00323300
	movb	1(%esp), %al
	outb	%al, %dx
	movb	2(%esp), %al
	outb	%al, %dx
	popl	%eax
	movb	$'\n', %al
	outb	%al, %dx
	ret

	.code64
report_long:
	movw	$SERIAL, %dx
	movb	$'L', %al
	outb	%al, %dx
	movl	$MSR_EFER, %ecx
	rdmsr
	movl	%eax, %ebx
	/* A number that needs 64 bits. */
	movabs	$0x6bcdef0123456789, %r8
	rol	$16, %r8
	xor	%r8, %rbx
	mov	$16, %ecx
	movw	$SERIAL, %dx
1:	rol	$4, %rbx
	movb	%bl, %al
	andb	$15, %al
	cmpb	$10, %al
	jb	2f
	addb	$'a' - '0' - 10, %al
2:	addb	$'0', %al
	outb	%al, %dx
	loop	1b
	movb	$'\n', %al
	outb	%al, %dx
	/* Is all memory mapped, and to itself? */
	mov	$HIGHEST, %edi
	mov	%r8, (%rdi)
	cmp	%r8, (%rdi)
	setne	%al
	outb	%al, $EXIT_PORT
3:	hlt
	jmp	3b
	.section .note.GNU-stack, "", @progbits
