/*
 * What a processor does first: it starts in real mode, at TRAMPOLINE (smp.h), where cpu_start() has
 * copied this. Here all addresses are counted from the start of the segment, which CS names.
 */
#define TRAMPOLINE	0x40000
#define CODE		0x10
#define DATA		0x18
#define CR0_PE		0x00000001
#define CR0_CACHES_OFF	0x60000000	/* CD and NW: so it comes out of INIT */
#define CR0_PG		0x80000000
#define CR4_PAE		0x20
#define EFER		0xc0000080
#define EFER_LME	0x100

	.section .rodata
	.balign	16
	.code16
	.globl	trampoline, trampoline_end, trampoline_cr3
trampoline:
	cli
	mov	%cs, %ax
	mov	%ax, %ds
	lgdtl	gdt_register - trampoline
	mov	%cr4, %eax
	or	$CR4_PAE, %eax
	mov	%eax, %cr4
	mov	trampoline_cr3 - trampoline, %eax
	mov	%eax, %cr3
	mov	$EFER, %ecx
	rdmsr
	or	$EFER_LME, %eax
	wrmsr
	/* From real mode into long mode in one step: paging and protection come together. */
	mov	%cr0, %eax
	and	$~CR0_CACHES_OFF, %eax
	or	$CR0_PG | CR0_PE, %eax
	mov	%eax, %cr0
	ljmpl	$CODE, $in_long_mode

	.balign	8
gdt:
	.quad	0
	.quad	0
	.quad	0x00af9b000000ffff
	.quad	0x00cf93000000ffff
gdt_register:
	.word	. - gdt - 1
	.long	TRAMPOLINE + gdt - trampoline
trampoline_cr3:
	.long	0
trampoline_end:

	/* From here on it runs in the kernel itself. */
	.text
	.code64
in_long_mode:
	mov	$DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	next_stack(%rip), %rsp
	xor	%ebp, %ebp
	call	cpu_main
	.section .note.GNU-stack, "", @progbits
