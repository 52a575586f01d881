/*
 * A guest for the debugger, as tiny.S is for the rest: an ELF file with a PVH entry. Two processors,
 * of which the first starts the second with INIT and SIPI; each counts for ever in a variable of its
 * own: `work0` and `work1` are called once for each number.
 */
#define LAPIC_SVR  0xfee000f0
#define LAPIC_ICR  0xfee00300
#define TRAMPOLINE 0x8000

	.section .note.Xen, "a", @note
	.balign	4
	.long	4
	.long	4
	.long	18
	.asciz	"Xen"
	.long	start

	.text
	.code32
	.globl	start, work0, work1, counter0, counter1, second
start:
	mov	$0x80000, %esp
	/* The second's first instructions go where SIPI can point to. */
	mov	$trampoline, %esi
	mov	$TRAMPOLINE, %edi
	mov	$trampoline_end - trampoline, %ecx
	rep movsb
	movl	$0x1ff, LAPIC_SVR
	movl	$0xc4500, LAPIC_ICR			/* INIT, then SIPI, to all others */
	movl	$0xc4600 | TRAMPOLINE >> 12, LAPIC_ICR
1:	call	work0
	jmp	1b

work0:	incl	counter0
	ret

second:
	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %ss
	mov	$0x90000, %esp
1:	call	work1
	jmp	1b

work1:	incl	counter1
	ret

	.code16
trampoline:
	lgdtl	%cs:gdtr - trampoline
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	ljmpl	$8, $second
	.balign	4
gdtr:	.word	gdt_end - gdt - 1
	.long	TRAMPOLINE + gdt - trampoline
	.balign	8
gdt:	.quad	0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_end:
trampoline_end:

	.data
counter0: .long	0
counter1: .long	0
