/*
 * unsigned check_registers(uint64_t seed, uint64_t rounds): fills the registers with numbers made of
 * `seed`, and looks so many times whether they are still there. Returns how many were not.
 */
	.macro	all what
	\what	rax, 1
	\what	rbx, 2
	\what	rdx, 3
	\what	rsi, 4
	\what	rbp, 5
	\what	r8, 6
	\what	r9, 7
	\what	r10, 8
	\what	r11, 9
	\what	r12, 10
	\what	r13, 11
	\what	r14, 12
	\what	r15, 13
	.endm

	.macro	fill register, number
	lea	\number(%rdi), %\register
	.endm

	.macro	compare register, number
	lea	-\number(%\register), %rdi
	cmp	%rdi, (%rsp)
	jne	3f
	.endm

	.text
	.globl	check_registers
check_registers:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdi
	mov	%rsi, %rcx
	all	fill
1:	all	compare
	dec	%rcx
	jnz	1b
	xor	%eax, %eax
2:	add	$8, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret
3:	mov	$1, %eax
	jmp	2b
	.section .note.GNU-stack, "", @progbits
