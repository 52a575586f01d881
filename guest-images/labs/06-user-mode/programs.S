/*
 * The programs. Each is copied to USER_CODE and started at its first byte, in ring 3; so none of
 * them knows an address of the kernel but those that it should not touch.
 */
#define SYSCALL_EXIT	0
#define SYSCALL_WRITE	1
#define KERNEL		0x100000
#define USER_CODE	0x8000000000
#define USER_STACK	0x8000002000
#define PAGE_BYTES	4096

	.macro	program name
	.globl	program_\name
program_\name:
	.endm

	.macro	exit status
	mov	\status, %edi
	mov	$SYSCALL_EXIT, %eax
	syscall
	.endm

	/* The result is in RAX. */
	.macro	write text, bytes
	mov	\text, %rdi
	mov	\bytes, %esi
	mov	$SYSCALL_WRITE, %eax
	syscall
	.endm

	.section .rodata
	.code64

	program	empty		/* main.c catches its only instruction */
	ud2

	program	exit
	exit	$7

	program	hello
	lea	hello_text(%rip), %r12
	write	%r12, $18
	mov	%eax, %ebx
	write	%r12, $0
	lea	6(%r12), %r13
	write	%r13, $12
	add	%ebx, %eax
	exit	%eax
hello_text:
	.ascii	"Hello from ring 3\n"

	/* Each register but RAX, RCX and R11 is what it was, and so are the stack and the flags. */
	.macro	all what
	\what	rbx, 1
	\what	rdx, 2
	\what	rbp, 3
	\what	r8, 4
	\what	r9, 5
	\what	r10, 6
	\what	r12, 7
	\what	r13, 8
	\what	r14, 9
	\what	r15, 10
	.endm
	.macro	fill register, number
	mov	$0x1111111111111111 * \number, %\register
	.endm
	.macro	compare register, number
	mov	$0x1111111111111111 * \number, %rax
	cmp	%rax, %\register
	jne	2f
	.endm

	program	registers
	push	$0x123
	all	fill
	lea	registers_text(%rip), %rdi
	mov	$3, %esi
	mov	$SYSCALL_WRITE, %eax
	std
	syscall
	pushf
	cld
	all	compare
	lea	registers_text(%rip), %rax
	cmp	%rax, %rdi
	jne	2f
	cmp	$3, %rsi
	jne	2f
	pop	%rax
	and	$0x600, %eax	/* direction and interrupts are on */
	cmp	$0x600, %eax
	jne	2f
	cmpq	$0x123, (%rsp)
	jne	2f
	exit	$0
2:	exit	$1
registers_text:
	.ascii	"is\n"

	/* What only the kernel may do. */
	program	halt
	nop
	hlt
	exit	$1

	program	tables
	mov	%cr3, %rax
	exit	$1

	program	port
	mov	$33, %al
	out	%al, $0xf4	/* would end the machine */
	exit	$1

	program	interrupts
	cli
	exit	$1

	/* What is not its own. */
	program	read_kernel
	mov	KERNEL, %rax
	exit	$1

	program	write_kernel
	movb	$0, KERNEL
	exit	$1

	program	jump_kernel
	mov	$KERNEL, %eax
	jmp	*%rax

	program	write_code
	movb	$0, write_code_end(%rip)
write_code_end:
	exit	$1

	program	hole
	mov	$USER_STACK - 8, %rax
	mov	%rax, (%rax)
	exit	$1

	program	divide
	xor	%ecx, %ecx
	xor	%edx, %edx
	mov	$1, %eax
	div	%ecx
	exit	$1

	program	deep		/* a stack without an end */
1:	push	%rax
	jmp	1b

	/* System calls with pointers that the program itself could not follow: all give -1. */
	.macro	refused
	cmp	$-1, %rax
	jne	2f
	inc	%ebx
	.endm

	program	pointers
	xor	%ebx, %ebx
	write	$KERNEL, $16
	refused
	mov	$USER_STACK, %r12
	lea	-1(%r12), %rdi
	write	%rdi, $2
	refused
	lea	PAGE_BYTES - 4(%r12), %rdi
	write	%rdi, $5
	refused
	/* The sum of the two is 4096. */
	mov	%r12, %rdi
	mov	$PAGE_BYTES, %esi
	sub	%rdi, %rsi
	mov	$SYSCALL_WRITE, %eax
	syscall
	refused
	mov	$0xffff800000000000, %rdi
	write	%rdi, $1
	refused
	mov	$99, %eax	/* there is no such system call */
	syscall
	refused
	/* All of the stack is its own. */
	movb	$'!', PAGE_BYTES - 2(%r12)
	movb	$'\n', PAGE_BYTES - 1(%r12)
	lea	PAGE_BYTES - 2(%r12), %rdi
	write	%rdi, $2
	add	%eax, %ebx
2:	exit	%ebx
	.globl	programs_end
programs_end:
	.section .note.GNU-stack, "", @progbits
