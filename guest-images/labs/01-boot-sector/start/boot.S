/*
 * A boot sector. The BIOS has loaded these 512 bytes to address 0x7c00 and has jumped there, in real
 * mode: 16-bit registers, an address is a segment times 16 plus an offset.
 */
	.code16
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7c00, %sp		/* the stack grows down from where we are */
	cld

	/* One character. Step 1: the whole line. */
	movb	$0x0e, %ah
	xorw	%bx, %bx
	movb	$'H', %al
	int	$0x10

	/* Step 2: how much memory. Step 3: a prompt, keys. Step 4: status 0 when q was typed. */
	movb	$1, %al
	outb	%al, $0xf4
1:	hlt
	jmp	1b

	/* The rest of the sector, and the mark by which a BIOS knows that it is one. */
	.org	510
	.word	0xaa55
