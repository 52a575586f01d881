/*
 * void yield(handler_fn *fn): does by hand what the processor does for an interrupt (SDM volume 3,
 * 6.14.2), then what the stubs of common/interrupts_entry.S do.
 */
	.text
	.globl	yield
yield:
	pop	%rsi		/* where the caller goes on */
	mov	%rsp, %rdx
	pushf
	pop	%rcx
	cli
	mov	%ss, %eax
	push	%rax
	push	%rdx
	push	%rcx
	mov	%cs, %eax
	push	%rax
	push	%rsi
	push	$0		/* error code and vector: none */
	push	$0
	push	%rax
	push	%rbx
	push	%rcx
	push	%rdx
	push	%rsi
	push	%rdi
	push	%rbp
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rdi, %rax
	mov	%rsp, %rdi
	cld
	call	*%rax
	mov	%rax, %rsp
	jmp	interrupt_return
	.section .note.GNU-stack, "", @progbits
