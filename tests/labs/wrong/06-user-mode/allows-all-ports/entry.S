/* The ways between the rings. */
#define USER_DATA	0x23
#define USER_CODE	0x2b
#define RFLAGS_IF	0x200
#define RFLAGS_ALWAYS	0x002

	.text
/*
 * int enter_user(rip, rsp): returns when leave_user() is called. A function's caller counts on RBX,
 * RBP and R12 to R15 only (System V ABI, 3.2.1).
 */
	.globl	enter_user
enter_user:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, kernel_rsp(%rip)
	push	$USER_DATA
	push	%rsi
	push	$RFLAGS_IF | RFLAGS_ALWAYS
	push	$USER_CODE
	push	%rdi
	/* Nothing of the kernel is left in a register. */
	xor	%eax, %eax
	xor	%ebx, %ebx
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%esi, %esi
	xor	%edi, %edi
	xor	%ebp, %ebp
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	xor	%r12d, %r12d
	xor	%r13d, %r13d
	xor	%r14d, %r14d
	xor	%r15d, %r15d
	iretq

/* void leave_user(status): returns from enter_user(). What lies on the other stack is forgotten. */
	.globl	leave_user
leave_user:
	mov	kernel_rsp(%rip), %rsp
	mov	%edi, %eax
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

/* RCX has the program's RIP, R11 its RFLAGS, and RSP is still its own. Interrupts are off. */
	.globl	syscall_entry
syscall_entry:
	mov	%rsp, user_rsp(%rip)
	mov	kernel_stack_top(%rip), %rsp
	push	%rcx
	push	%r11
	push	%rdi
	push	%rsi
	push	%rdx
	push	%r8
	push	%r9
	push	%r10
	mov	%rsi, %rdx
	mov	%rdi, %rsi
	mov	%rax, %rdi
	call	syscall_dispatch
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rdx
	pop	%rsi
	pop	%rdi
	pop	%r11
	pop	%rcx
	mov	user_rsp(%rip), %rsp
	sysretq

	.bss
	.balign	8
kernel_rsp:
	.skip	8
user_rsp:
	.skip	8
	.section .note.GNU-stack, "", @progbits
