/* The ways between the rings. Each ends the machine as long as it is not yours. */
#define EXIT_PORT	0xf4

	.text
/* Step 3: int enter_user(rip, rsp): returns when leave_user() is called. */
	.globl	enter_user
enter_user:
	mov	$3, %al
	out	%al, $EXIT_PORT
	ret

/* Step 4: void leave_user(status): returns from enter_user(). */
	.globl	leave_user
leave_user:
	mov	$4, %al
	out	%al, $EXIT_PORT
1:	hlt
	jmp	1b

/* Step 4: RCX has the program's RIP, R11 its RFLAGS, and RSP is still its own. */
	.globl	syscall_entry
syscall_entry:
	mov	$4, %al
	out	%al, $EXIT_PORT
1:	hlt
	jmp	1b
	.section .note.GNU-stack, "", @progbits
