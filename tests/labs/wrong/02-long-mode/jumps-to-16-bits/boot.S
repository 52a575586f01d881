/* A code segment without its D bit: 32-bit code, read as 16-bit code. */
#define CODE32 0x08
#define CODE64 0x10
#define DATA 0x18
#define PML4 0x1000
#define PDPT 0x2000
#define DIRECTORY 0x3000
#define PRESENT_WRITABLE 3
#define LARGE 0x80
#define CR0_PE 0x1
#define CR0_PG 0x80000000
#define CR4_PAE 0x20
#define MSR_EFER 0xc0000080
#define EFER_LME 0x100

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

	lgdt	gdt_register
	movl	%cr0, %eax
	orb	$CR0_PE, %al
	movl	%eax, %cr0
	ljmp	$CODE32, $protected

	.code32
protected:
	movw	$DATA, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	$0x7c00, %esp
	call	report_protected

	/* Three tables of 4 KiB: zeros, then one entry each above, and 512 pages of 2 MiB. */
	movl	$PML4, %edi
	xorl	%eax, %eax
	movl	$3 * 1024, %ecx
	rep stosl
	movl	$PDPT | PRESENT_WRITABLE, PML4
	movl	$DIRECTORY | PRESENT_WRITABLE, PDPT
	movl	$DIRECTORY, %edi
	movl	$LARGE | PRESENT_WRITABLE, %eax
1:	movl	%eax, (%edi)
	addl	$8, %edi
	addl	$0x200000, %eax
	cmpl	$0x40000000, %eax
	jb	1b

	movl	%cr4, %eax
	orb	$CR4_PAE, %al
	movl	%eax, %cr4
	movl	$PML4, %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx
	rdmsr
	orl	$EFER_LME, %eax
	wrmsr
	movl	%cr0, %eax
	orl	$CR0_PG, %eax
	movl	%eax, %cr0
	ljmp	$CODE64, $report_long

	.balign	8
gdt:
	.quad	0
	.quad	0x008f9b000000ffff	/* code, 16 bits */
	.quad	0x00af9b000000ffff	/* code, 64 bits */
	.quad	0x00cf93000000ffff	/* data */
gdt_register:
	.word	. - gdt - 1
	.long	gdt
	.section .note.GNU-stack, "", @progbits
