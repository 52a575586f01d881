/*
 * A boot sector that calls the BIOS and prints what it gets, one call a line: "name: values", in
 * hexadecimal. The first sector loads the others, which is the first of the tests. Its disk has
 * "sector N" in sector N from 32 on (see test_own_kernels.sh).
 */
	.code16
	.text
	.globl	start

	.macro	say text
	push	%si
	mov	$9f, %si
	call	print
	pop	%si
	.pushsection .rodata
9:	.asciz	"\text"
	.popsection
	.endm

	/* What a call gave: carry and %ax. */
	.macro	result
	call	print_result
	.endm

start:	ljmp	$0, $1f
1:	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%dl, drive
	mov	%edi, tree
	mov	$loaded, %si
	call	print
	/* The rest of this program, by cylinder, head and sector. */
	mov	$0x0200 + SECTORS, %ax
	mov	$0x0002, %cx
	mov	$0, %dh
	mov	drive, %dl
	mov	$0x7e00, %bx
	int	$0x13
	jc	2f
	jmp	more
2:	mov	$unreadable, %si
	call	print
	int	$0x18

/* The text at %si. */
print:	pusha
1:	lodsb
	test	%al, %al
	jz	2f
	call	put
	jmp	1b
2:	popa
	ret

put:	pusha
	mov	$0x0e, %ah
	mov	$7, %bx
	int	$0x10
	popa
	ret

/* A space and %ax. */
word:	pusha
	mov	%ax, %dx
	mov	$' ', %al
	call	put
	mov	$4, %cx
1:	rol	$4, %dx
	mov	%dl, %al
	and	$15, %al
	add	$'0', %al
	cmp	$'9', %al
	jbe	2f
	add	$'a' - '9' - 1, %al
2:	call	put
	loop	1b
	popa
	ret

loaded:	.asciz	"the first sector runs\r\n"
unreadable:
	.asciz	"the rest can't be read\r\n"
drive:	.byte	0
tree:	.long	0
	.org	510
	.word	0xaa55

/* ---- The second sector and on ---- */

print_result:
	pushf
	pusha
	setc	%al
	xor	%ah, %ah
	call	word
	popa
	call	word
	popf
	ret

line:	push	%si
	mov	$newline, %si
	call	print
	pop	%si
	ret

more:	say	"drive:"
	movzbw	drive, %ax
	call	word
	call	line

	say	"tree:"
	mov	tree + 2, %ax
	call	word
	mov	tree, %ax
	call	word
	call	line

	say	"INT 11h equipment:"
	int	$0x11
	call	word
	call	line

	say	"INT 12h KiB:"
	int	$0x12
	call	word
	call	line

	say	"data area, EBDA, COM1:"
	mov	0x40e, %ax
	call	word
	mov	0x400, %ax
	call	word
	call	line

	/* ---- The screen ---- */
	say	"INT 10h 0f mode:"
	mov	$0x0f00, %ax
	int	$0x10
	call	word
	call	line

	say	"INT 10h 03 cursor after four:"
	call	line
	say	"four"
	mov	$0x03, %ah
	mov	$0, %bh
	int	$0x10
	mov	%dx, %ax
	/* The row depends on what came before. */
	xor	%ah, %ah
	call	word
	call	line

	say	"INT 10h 13 string: "
	mov	$0x03, %ah
	int	$0x10
	mov	$0x1301, %ax
	mov	$7, %bx
	mov	$6, %cx
	mov	$string, %bp
	int	$0x10
	call	line

	say	"INT 10h 0a three times: "
	mov	$0x0a00 + 'x', %ax
	mov	$7, %bx
	mov	$3, %cx
	int	$0x10
	call	line

	say	"INT 10h 02 cursor: "
	mov	$0x02, %ah
	mov	$0, %bh
	mov	$0x0a14, %dx
	int	$0x10
	call	line

	say	"INT 10h 00 mode 3: "
	mov	$0x0003, %ax
	int	$0x10
	call	line

	say	"INT 10h 06 clear: "
	mov	$0x0600, %ax
	mov	$0, %cx
	mov	$0x184f, %dx
	int	$0x10
	call	line

	/* ---- Disks ---- */
	say	"INT 13h 00 reset:"
	mov	$0x00, %ah
	mov	drive, %dl
	int	$0x13
	result
	call	line

	say	"INT 13h 08 geometry:"
	mov	$0x08, %ah
	mov	drive, %dl
	int	$0x13
	result
	mov	%cx, %ax
	call	word
	mov	%dx, %ax
	call	word
	call	line

	say	"INT 13h 15 type:"
	mov	$0x1500, %ax
	mov	drive, %dl
	int	$0x13
	result
	mov	%cx, %ax
	call	word
	mov	%dx, %ax
	call	word
	call	line

	say	"INT 13h 41 extensions:"
	mov	$0x41, %ah
	mov	$0x55aa, %bx
	mov	drive, %dl
	int	$0x13
	result
	mov	%bx, %ax
	call	word
	call	line

	say	"INT 13h 42 sector 33: "
	movl	$33, packet + 8
	mov	$0x4200, %ax
	mov	$packet, %si
	mov	drive, %dl
	int	$0x13
	mov	$0x6000, %si
	call	print
	result
	call	line

	say	"INT 13h 02 sector 40: "
	mov	$0x0201, %ax
	mov	$41, %cx
	mov	$0, %dh
	mov	drive, %dl
	mov	$0x6000, %bx
	int	$0x13
	mov	$0x6000, %si
	call	print
	result
	call	line

	say	"INT 13h 43 write 33: "
	movl	$0x2e77656e, 0x6000
	movb	$0, 0x6004
	mov	$0x4300, %ax
	mov	$packet, %si
	mov	drive, %dl
	int	$0x13
	result
	movl	$0, 0x6000
	mov	$0x42, %ah
	mov	$packet, %si
	mov	drive, %dl
	int	$0x13
	mov	$' ', %al
	call	put
	mov	$0x6000, %si
	call	print
	call	line

	say	"INT 13h 42 beyond the end:"
	movl	$0x10000000, packet + 8
	mov	$0x4200, %ax
	mov	$packet, %si
	mov	drive, %dl
	int	$0x13
	result
	call	line

	say	"INT 13h 01 last status:"
	mov	$0x01, %ah
	mov	drive, %dl
	int	$0x13
	result
	call	line

	say	"INT 13h 48 parameters:"
	movw	$30, 0x6000
	mov	$0x4800, %ax
	mov	$0x6000, %si
	mov	drive, %dl
	int	$0x13
	result
	mov	0x6010, %ax
	call	word
	mov	0x6018, %ax
	call	word
	call	line

	say	"INT 13h 08 no such drive:"
	mov	$0x0800, %ax
	mov	$0x90, %dl
	int	$0x13
	result
	call	line

	/* ---- Memory ---- */
	xor	%ebx, %ebx
1:	say	"INT 15h e820:"
	mov	$0xe820, %eax
	mov	$0x534d4150, %edx
	mov	$24, %ecx
	mov	$0x6000, %di
	int	$0x15
	jc	2f
	mov	0x6006, %ax
	call	word
	mov	0x6004, %ax
	call	word
	mov	0x6002, %ax
	call	word
	mov	0x6000, %ax
	call	word
	mov	0x600a, %ax
	call	word
	mov	0x6008, %ax
	call	word
	mov	0x6010, %ax
	call	word
	call	line
	test	%ebx, %ebx
	jnz	1b
2:
	say	"INT 15h e801:"
	mov	$0xe801, %ax
	int	$0x15
	result
	mov	%bx, %ax
	call	word
	call	line

	say	"INT 15h 88:"
	mov	$0x8800, %ax
	int	$0x15
	result
	call	line

	say	"INT 15h 2401 A20 on:"
	mov	$0x2401, %ax
	int	$0x15
	result
	call	line

	say	"INT 15h c0 unknown:"
	mov	$0xc000, %ax
	int	$0x15
	result
	call	line

	/* ---- Time: a wait of 120 ms sees the clock tick at least twice ---- */
	say	"INT 15h 86 wait:"
	mov	$0x00, %ah
	int	$0x1a
	mov	%dx, %di
	mov	$0x8600, %ax
	mov	$1, %cx
	mov	$0xd4c0, %dx
	int	$0x15
	mov	$0x00, %ah
	int	$0x1a
	sub	%di, %dx
	cmp	$2, %dx
	mov	$0, %ax
	setae	%al
	call	word
	call	line

	say	"INT 1ah 04 date:"
	mov	$0x04, %ah
	int	$0x1a
	mov	%cx, %ax
	call	word
	mov	%dx, %ax
	call	word
	call	line

	say	"INT 1ah 02 hour, minute:"
	mov	$0x02, %ah
	int	$0x1a
	mov	%cx, %ax
	call	word
	call	line

	say	"hlt wakes up: "
	hlt
	say	"yes"
	call	line

	/* ---- Keys, up to a "q" ---- */
	say	"INT 16h 02 flags:"
	mov	$0x0200, %ax
	int	$0x16
	call	word
	call	line
	say	"keys:"
1:	mov	$0x01, %ah
	int	$0x16
	jz	1b
	mov	%ax, %bx
	mov	$0x00, %ah
	int	$0x16
	cmp	%ax, %bx
	jne	2f
	call	word
	cmp	$'q', %al
	jne	1b
2:	call	line
	xor	%al, %al
	out	%al, $0xf4

string:	.ascii	"string"
newline:
	.asciz	"\r\n"
	.balign	4
/* Extended read and write: 16 bytes, one sector, 0:6000, sector. */
packet:	.byte	16, 0
	.word	1, 0x6000, 0
	.quad	0
	.section .rodata
