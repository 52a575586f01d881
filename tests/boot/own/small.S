/*
 * Kernels of a few instructions for test_own_kernels.sh, one of them chosen by -DACTION_…
 */
	.text
	.globl	start
#if defined(ACTION_FAULT)
	/* A boot sector: an instruction that does not exist. */
	.code16
start:	ud2
	.org	510
	.word	0xaa55
#elif defined(ACTION_DIVIDE)
	.code16
start:	xor	%dx, %dx
	div	%dx
	.org	510
	.word	0xaa55
#elif defined(ACTION_GIVE_UP)
	.code16
start:	int	$0x18
	.org	510
	.word	0xaa55
#elif defined(ACTION_AGAIN)
	.code16
start:	int	$0x19
	.org	510
	.word	0xaa55
#elif defined(ACTION_POWER_OFF)
	/* By APM. */
	.code16
start:	mov	$0x5307, %ax
	mov	$1, %bx
	mov	$3, %cx
	int	$0x15
	.org	510
	.word	0xaa55
#elif defined(ACTION_NAME)
	/* Prints byte 0x1f0 of its sector; then what sector 1 of drive 0x80 begins with. */
	.code16
start:	mov	0x7df0, %al
	mov	$0x0e, %ah
	int	$0x10
	mov	$0x0201, %ax
	mov	$2, %cx
	xor	%dh, %dh
	mov	$0x8000, %bx
	int	$0x13
	mov	0x8000, %al
	jnc	1f
	mov	$'-', %al
1:	mov	$0x0e, %ah
	int	$0x10
	xor	%al, %al
	out	%al, $0xf4
	.org	0x1f0
	.byte	NAME
	.org	510
	.word	0xaa55
#elif defined(ACTION_FLAT)
	/*
	 * The letter F, whether RDI leads to a device tree, and the mode by its own bits: the three
	 * kernels differ in how they are assembled. Status: the mode.
	 */
#if MODE == 16
	.code16
#elif MODE == 32
	.code32
#else
	.code64
#endif
start:	mov	$0x3f8, %dx
	mov	$'F', %al
	out	%al, %dx
#if MODE == 16
	mov	%edi, %eax
	shr	$4, %eax
	mov	%ax, %fs
	mov	%fs:0, %eax
	/* Where it runs. */
	call	1f
1:	pop	%bx
	cmp	$VALUE + 1b - start, %bx
	jne	2f
#elif MODE == 32
	mov	(%edi), %eax
	mov	%cr0, %ebx
	and	$0x80000001, %ebx
	cmp	$1, %ebx
	jne	2f
	push	%eax
	pop	%eax
#else
	mov	(%rdi), %eax
	mov	$0xc0000080, %ecx
	push	%rax
	rdmsr
	test	$0x400, %eax
	pop	%rax
	jz	2f
#endif
	cmp	$0xedfe0dd0, %eax
	jne	2f
	mov	$MODE, %al
	out	%al, $0xf4
2:	mov	$1, %al
	out	%al, $0xf4
3:	hlt
	jmp	3b
#else
#error "which action?"
#endif
