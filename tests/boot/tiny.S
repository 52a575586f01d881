/*
 * Guests of a few instructions, for tests of what becomes of a machine: one action each, chosen
 * with -DACTION_… when it is assembled. An ELF file with a PVH entry: 32-bit protected mode with
 * flat segments (the note XEN_ELFNOTE_PHYS32_ENTRY, number 18, holds the address).
 */
	.section .note.Xen, "a", @note
	.balign	4
	.long	4
	.long	4
	.long	18
	.asciz	"Xen"
	.long	start

	.text
	.code32
	.globl	start
start:
#if defined(ACTION_SLEEP)
	/* For ever, deaf to the power button. */
	cli
1:	hlt
	jmp	1b
#elif defined(ACTION_SPIN)
	jmp	start
#elif defined(ACTION_SPIN_OPEN)
	/* An endless loop that interrupts could come into. */
	sti
1:	jmp	1b
#elif defined(ACTION_IDLE)
	/* As a kernel that has nothing to do. */
1:	sti
	hlt
	jmp	1b
#elif defined(ACTION_COMPUTE)
	/* Copies memory for ever, with interrupts on if VALUE is 1: busy, not stuck. */
	.if	VALUE
	sti
	.endif
1:	mov	$0x200000, %esi
	mov	$0x300000, %edi
	mov	$0x10000, %ecx
2:	mov	(%esi), %eax
	mov	%eax, (%edi)
	add	$4, %esi
	add	$4, %edi
	loop	2b
	jmp	1b
#elif defined(ACTION_STORM)
	/* Waits for hardware that is not there. */
	mov	$0x1234, %dx
1:	in	%dx, %al
	test	$1, %al
	jnz	1b
#elif defined(ACTION_AT_E9)
	/* Prints on the debug console, and then has nothing to do. */
	mov	$'E', %al
	out	%al, $0xe9
1:	sti
	hlt
	jmp	1b
#elif defined(ACTION_EXIT)
	/* With status VALUE. */
	mov	$VALUE, %eax
	out	%al, $0xf4
1:	hlt
	jmp	1b
#elif defined(ACTION_MARK)
	/* Marks 1 and VALUE for the boot timer, a byte on the serial port, status 0. */
	mov	$1, %al
	out	%al, $0xe8
	mov	$0x3f8, %dx
	mov	$'M', %al
	out	%al, %dx
	mov	$VALUE, %al
	out	%al, $0xe8
	xor	%eax, %eax
	out	%al, $0xf4
1:	hlt
	jmp	1b
#elif defined(ACTION_CRASH)
	/*
	 * A triple fault: an invalid instruction, and no handler for that or what follows. The
	 * exit just before is for processors that forget all registers in a triple fault.
	 */
	lidt	empty_table
	mov	$0x12345678, %ebx
	out	%al, $0x80
	ud2
	.balign	4
empty_table:
	.word	0
	.long	0
#elif defined(ACTION_RESET)
	/* Says "R" on the serial port and resets the machine. */
	mov	$0x3f8, %dx
	mov	$'R', %al
	out	%al, %dx
	mov	$0xcf9, %dx
	mov	$6, %al
	out	%al, %dx
1:	hlt
	jmp	1b
#elif defined(ACTION_PRINT) || defined(ACTION_PRINT_SLEEP)
	/* VALUE lines with their numbers in hexadecimal, then status 0 or a sleep for ever. */
	mov	$0x80000, %esp
	xor	%ebx, %ebx
line:	mov	$8, %ecx
digit:	rol	$4, %ebx
	mov	%ebx, %eax
	and	$15, %eax
	mov	digits(%eax), %al
	call	put
	loop	digit
	mov	$'\n', %al
	call	put
	inc	%ebx
	cmp	$VALUE, %ebx
	jb	line
#ifdef ACTION_PRINT_SLEEP
	mov	$'>', %al
	call	put
	cli
1:	hlt
	jmp	1b
#endif
	jmp	end
#elif defined(ACTION_ECHO)
	/* Sends back what it gets, up to a "q", which ends with status 0. */
	mov	$0x80000, %esp
get:	mov	$0x3fd, %dx
	in	%dx, %al
	test	$1, %al
	jz	get
	mov	$0x3f8, %dx
	in	%dx, %al
	cmp	$'q', %al
	je	end
	call	put
	jmp	get
#else
#error "which action?"
#endif

#if defined(ACTION_PRINT) || defined(ACTION_PRINT_SLEEP) || defined(ACTION_ECHO)
	/* The character in %al to the serial port, when that has room for it. */
put:	push	%eax
	mov	$0x3fd, %dx
1:	in	%dx, %al
	test	$0x20, %al
	jz	1b
	pop	%eax
	mov	$0x3f8, %dx
	out	%al, %dx
	ret
end:	xor	%eax, %eax
	out	%al, $0xf4
1:	hlt
	jmp	1b
digits:	.ascii	"0123456789abcdef"
#endif
