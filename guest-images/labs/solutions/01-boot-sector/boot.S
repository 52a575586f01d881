/* The lines, the memory, the keys: BIOS calls 10h, 15h and 16h. */
	.code16
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7c00, %sp
	cld

	movw	$hello, %si
	call	print
	movw	$memory, %si
	call	print
	movb	$0x88, %ah
	int	$0x15
	call	print_number
	movw	$prompt, %si
	call	print

next_key:
	xorb	%ah, %ah
	int	$0x16
	cmpb	$'q', %al
	je	end
	call	put
	jmp	next_key

end:
	xorb	%al, %al
	outb	%al, $0xf4
1:	hlt
	jmp	1b

/* The text at SI, up to a zero byte. */
print:
	lodsb
	testb	%al, %al
	jz	1f
	call	put
	jmp	print
1:	ret

/* The character in AL. */
put:
	movb	$0x0e, %ah
	xorw	%bx, %bx
	int	$0x10
	ret

/* The number in AX, in decimal: each remainder waits on the stack for those before it. */
print_number:
	movw	$10, %bx
	xorw	%cx, %cx
1:	xorw	%dx, %dx
	divw	%bx
	pushw	%dx
	incw	%cx
	testw	%ax, %ax
	jnz	1b
2:	popw	%ax
	addb	$'0', %al
	call	put
	loop	2b
	ret

hello:	.asciz	"Hello from the boot sector.\r\n"
memory:	.asciz	"Memory above 1 MiB: "
prompt:	.asciz	" KiB\r\n> "

	.org	510
	.word	0xaa55
