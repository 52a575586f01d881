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
#elif defined(ACTION_EXIT)
	/* With status VALUE. */
	mov	$VALUE, %eax
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
#else
#error "which action?"
#endif
