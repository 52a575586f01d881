/*
 * A BIOS for boot sectors: interrupts 08h to 1Ch of a PC in real mode, as few as a course's
 * programs need. bios.h says how it gets into memory, README.md which calls it knows.
 *
 * The screen is the serial port 0x3f8 (the debug console 0xe9 where there is none); what a screen
 * can and a line of text can't becomes the sequences of ECMA-48 (ANSI terminals). Keys come from
 * the serial port and, by interrupt 9, from the keyboard controller. Disks are read and written by
 * the device "bios-disk" (devices/legacy/bios_disk.c).
 *
 * It runs as guest code and is trusted with nothing: a guest may overwrite it.
 *
 * Every address is a distance from bios_start, so nothing needs to be relocated. DS is this
 * segment in all that follows unless it is said. Handlers keep all registers that they do not
 * return something in.
 *
 * Sources: IBM PC/AT Technical Reference (BIOS listing and data area), T13 1572D (Enhanced Disk
 * Drive services), ACPI 6.4, 15.1 (E820), Intel 8254 and 8259A data sheets.
 */
#include "firmware/bios_layout.h"

#define AT(label) (label - bios_start)
#define DATA (FW_BIOS_DATA - FW_BIOS_BASE)

#define SERIAL 0x3f8
#define DEBUG_CONSOLE 0xe9
#define EXIT_PORT 0xf4
#define RESET_PORT 0xcf9
#define PIC1 0x20
#define PIC2 0xa0

/* The BIOS data area, segment 0x40. */
#define BDA 0x40
#define KEY_FLAGS 0x17
#define KEY_HEAD 0x1a
#define KEY_TAIL 0x1c
#define KEYS 0x1e
#define KEYS_END 0x3e
#define DISK_STATUS 0x41
#define VIDEO_MODE 0x49
#define CURSOR 0x50 /* column, row */
#define TICKS 0x6c
#define MIDNIGHT 0x70
#define COLUMNS 80
#define ROWS 25
#define TICKS_A_DAY 0x1800b0

/* Operations of the device "bios-disk"; OP_CHS: the place is CX and DH. */
#define OP_INFO 0
#define OP_READ 1
#define OP_WRITE 2
#define OP_CHS 0x10

/* Keys that make a character have scan codes below this. */
#define KEY_COUNT 0x3a

/* What enter_handler leaves at %bp. */
#define F_DI 0
#define F_SI 4
#define F_BX 16
#define F_DX 20
#define F_CX 24
#define F_AX 28
#define F_AL 28
#define F_AH 29
#define F_ES 32
#define F_DS 34
#define F_FLAGS 42
#define CARRY 1
#define ZERO 0x40
#define INTERRUPTS 0x200

	.section .rodata
	.code16
	.globl	bios_start, bios_end, bios_nothing, bios_vectors, bios_area
	.hidden	bios_start, bios_end, bios_nothing, bios_vectors, bios_area
	.balign	16
bios_start:

/* ---- Start ---- */

	cli
	cld
	xorw	%ax, %ax
	movw	%ax, %ss
	movw	$0x7c00, %sp
	movw	%cs, %ax
	movw	%ax, %ds

	/* Interrupt controllers: vectors 8 and 0x70; timer, keyboard and the second one are heard. */
	movb	$0x11, %al
	outb	%al, $PIC1
	outb	%al, $PIC2
	movb	$0x08, %al
	outb	%al, $PIC1 + 1
	movb	$0x70, %al
	outb	%al, $PIC2 + 1
	movb	$0x04, %al
	outb	%al, $PIC1 + 1
	movb	$0x02, %al
	outb	%al, $PIC2 + 1
	movb	$0x01, %al
	outb	%al, $PIC1 + 1
	outb	%al, $PIC2 + 1
	movb	$0xf8, %al
	outb	%al, $PIC1 + 1
	movb	$0xff, %al
	outb	%al, $PIC2 + 1

	/* The timer: 18.2 interrupts a second. */
	movb	$0x34, %al
	outb	%al, $0x43
	xorb	%al, %al
	outb	%al, $0x40
	outb	%al, $0x40

	/* Is there a serial port? Its scratch register keeps what is written. Then 8 bits. */
	movw	$SERIAL + 7, %dx
	movb	$0x5a, %al
	outb	%al, %dx
	inb	%dx, %al
	cmpb	$0x5a, %al
	jne	boot
	movb	$1, AT(has_serial)
	movw	$SERIAL + 3, %dx
	movb	$0x03, %al
	outb	%al, %dx

/* The first sector is there already: bios.h. */
boot:
	xorw	%ax, %ax
	movw	%ax, %es
	movw	$AT(text_no_mark), %si
	cmpw	$0xaa55, %es:0x7dfe
	jne	no_boot

	movl	DATA + BIOS_DATA_TREE, %edi
	xorl	%eax, %eax
	xorl	%ebx, %ebx
	xorl	%ecx, %ecx
	xorl	%esi, %esi
	xorl	%ebp, %ebp
	movl	$BIOS_BOOT_DRIVE, %edx
	movw	%ax, %ds
	sti
	ljmp	$0, $0x7c00

no_boot:
	call	print_text
	movb	$BIOS_STATUS_NO_BOOT, %al
	outb	%al, $EXIT_PORT
1:	hlt
	jmp	1b

/* ---- Ends ---- */

/* INT 18h: what is started has given up. */
int18:
	cld
	movw	%cs, %ax
	movw	%ax, %ds
	movw	$AT(text_int18), %si
	jmp	no_boot

/* INT 19h: start again. The machine is reset, and all of this is new. */
int19:
	movw	$RESET_PORT, %dx
	movb	$6, %al
	outb	%al, %dx
1:	hlt
	jmp	1b

/* A processor exception that nobody handles. The stack has IP, CS. */
	.irp	number, 00, 06, 0b, 0c, 0d
fault_\number:
	pushw	$0x\number
	jmp	fault
	.endr

fault:
	cli
	cld
	movw	%sp, %bp
	movw	%cs, %ax
	movw	%ax, %ds
	movw	$AT(text_fault), %si
	call	print_text
	movw	(%bp), %ax
	call	print_hex8
	movw	$AT(text_at), %si
	call	print_text
	movw	4(%bp), %ax
	call	print_hex16
	movb	$':', %al
	call	put_raw
	movw	2(%bp), %ax
	call	print_hex16
	movw	$AT(text_newline), %si
	call	print_text
	movb	$BIOS_STATUS_FAULT, %al
	outb	%al, $EXIT_PORT
1:	hlt
	jmp	1b

/* ---- Interrupts of the hardware ---- */

/* Vectors 0bh, 0ch and 0dh are exceptions, too: it is one if the controller serves no interrupt. */
	.irp	number, 0b, 0c, 0d
irq_\number:
	pushw	%ax
	movb	$0x0b, %al
	outb	%al, $PIC1
	inb	$PIC1, %al
	testb	$1 << (0x\number - 8), %al
	popw	%ax
	jz	fault_\number
	jmp	end_irq1
	.endr

end_irq2:
	pushw	%ax
	movb	$0x20, %al
	outb	%al, $PIC2
	popw	%ax
end_irq1:
	pushw	%ax
	movb	$0x20, %al
	outb	%al, $PIC1
	popw	%ax
bios_nothing:
	iretw

/* The timer. */
irq0:
	pushw	%ds
	pushl	%eax
	movw	$BDA, %ax
	movw	%ax, %ds
	movl	TICKS, %eax
	incl	%eax
	cmpl	$TICKS_A_DAY, %eax
	jb	1f
	xorl	%eax, %eax
	movb	$1, MIDNIGHT
1:	movl	%eax, TICKS
	int	$0x1c
	movb	$0x20, %al
	outb	%al, $PIC1
	popl	%eax
	popw	%ds
	iretw

/* The keyboard controller has a byte. */
irq1:
	pushal
	pushw	%ds
	pushw	%es
	movw	%cs, %ax
	movw	%ax, %ds
	movw	$BDA, %ax
	movw	%ax, %es
	cld
	inb	$0x60, %al
	call	take_scan_code
	movb	$0x20, %al
	outb	%al, $PIC1
	popw	%es
	popw	%ds
	popal
	iretw

/* ---- Entering and leaving a call ---- */

/* Called first thing. Then the frame is at %bp, ES the data area, %bx lost. */
enter_handler:
	popw	%cs:AT(handler)		/* with interrupts off */
	pushw	%fs
	pushw	%ds
	pushw	%es
	pushal
	movw	%sp, %bp
	movw	%cs, %bx
	movw	%bx, %ds
	movw	$BDA, %bx
	movw	%bx, %es
	pushw	AT(handler)
	cld
	testb	$INTERRUPTS >> 8, F_FLAGS + 1(%bp)
	jz	1f
	sti
1:	/* What the carry says is the answer of most calls. */
	andw	$~CARRY, F_FLAGS(%bp)
	ret

leave_handler:
	popal
	popw	%es
	popw	%ds
	popw	%fs
	iretw

/* %ah picks from the table at %si: bytes with their handlers' words, ended by a word alone. */
dispatch:
	cmpb	$0xff, (%si)
	je	1f
	cmpb	(%si), %ah
	je	1f
	addw	$3, %si
	jmp	dispatch
1:	jmp	*1(%si)

unknown_call:
	movb	$0x86, F_AH(%bp)
fail:	orw	$CARRY, F_FLAGS(%bp)
	jmp	leave_handler

/* ---- INT 10h: the screen ---- */

int10:	call	enter_handler
	movw	$AT(video_calls), %si
	jmp	dispatch

video_calls:
	.byte	0x00
	.word	AT(video_mode)
	.byte	0x02
	.word	AT(video_set_cursor)
	.byte	0x03
	.word	AT(video_get_cursor)
	.byte	0x06
	.word	AT(video_scroll)
	.byte	0x07
	.word	AT(video_scroll)
	.byte	0x08
	.word	AT(video_read)
	.byte	0x09
	.word	AT(video_repeat)
	.byte	0x0a
	.word	AT(video_repeat)
	.byte	0x0e
	.word	AT(video_teletype)
	.byte	0x0f
	.word	AT(video_get_mode)
	.byte	0x13
	.word	AT(video_string)
	.byte	0xff
	.word	AT(leave_handler)

/* A new mode has an empty screen. There are pixels in none: those modes show nothing. */
video_mode:
	andb	$0x7f, %al
	movb	%al, %es:VIDEO_MODE
	call	clear_screen
	jmp	leave_handler

video_get_mode:
	movb	%es:VIDEO_MODE, %al
	movb	%al, F_AL(%bp)
	movb	$COLUMNS, F_AH(%bp)
	movb	$0, F_BX + 1(%bp)
	jmp	leave_handler

video_set_cursor:
	call	set_cursor
	jmp	leave_handler

video_get_cursor:
	movw	%es:CURSOR, %ax
	movw	%ax, F_DX(%bp)
	movw	$0x0607, F_CX(%bp)
	jmp	leave_handler

/* Lines that move are not seen on a line of text; a whole screen that is cleared is. */
video_scroll:
	testb	%al, %al
	jnz	leave_handler
	testw	%cx, %cx
	jnz	leave_handler
	cmpw	$((ROWS - 1) << 8 | (COLUMNS - 1)), %dx
	jb	leave_handler
	call	clear_screen
	jmp	leave_handler

/* What was printed is not kept. */
video_read:
	movw	$0x0720, F_AX(%bp)
	jmp	leave_handler

/* %cx times, and the cursor stays. */
video_repeat:
	movw	%es:CURSOR, %dx
1:	jcxz	2f
	call	put_char
	decw	%cx
	jmp	1b
2:	call	set_cursor
	jmp	leave_handler

video_teletype:
	call	put_char
	jmp	leave_handler

/* ES:BP, %cx characters, at %dx; with bit 1 of %al each has a colour behind it. */
video_string:
	movb	%al, %bl
	call	set_cursor
	movw	8(%bp), %si
	movw	F_ES(%bp), %ax
	movw	%ax, %fs
1:	jcxz	2f
	movb	%fs:(%si), %al
	incw	%si
	call	put_char
	testb	$2, %bl
	jz	3f
	incw	%si
3:	decw	%cx
	jmp	1b
2:	testb	$1, %bl
	jnz	leave_handler
	call	set_cursor
	jmp	leave_handler

clear_screen:
	movw	$0, %es:CURSOR
	movw	$AT(text_clear), %si
	jmp	print_text

/* To row %dh, column %dl, unless it is there. Keeps all registers. ES is the data area. */
set_cursor:
	cmpw	%dx, %es:CURSOR
	je	1f
	pushw	%ax
	pushw	%si
	movw	%dx, %es:CURSOR
	movw	$AT(text_escape), %si
	call	print_text
	movb	%dh, %al
	incb	%al
	call	print_decimal
	movb	$';', %al
	call	put_raw
	movb	%dl, %al
	incb	%al
	call	print_decimal
	movb	$'H', %al
	call	put_raw
	popw	%si
	popw	%ax
1:	ret

/* %al, and where the cursor is then. Keeps all registers. ES is the data area. */
put_char:
	pushw	%ax
	pushw	%dx
	call	put_raw
	movw	%es:CURSOR, %dx
	cmpb	$'\r', %al
	je	2f
	cmpb	$'\n', %al
	je	3f
	cmpb	$'\b', %al
	je	4f
	cmpb	$' ', %al
	jb	5f
	incb	%dl
	cmpb	$COLUMNS, %dl
	jb	5f
	incb	%dh
2:	xorb	%dl, %dl
	jmp	5f
3:	incb	%dh
	jmp	5f
4:	testb	%dl, %dl
	jz	5f
	decb	%dl
5:	cmpb	$ROWS, %dh
	jb	6f
	movb	$ROWS - 1, %dh
6:	movw	%dx, %es:CURSOR
	popw	%dx
	popw	%ax
	ret

/* %al to the serial port, when that has room. Keeps all registers. */
put_raw:
	pushw	%dx
	cmpb	$0, AT(has_serial)
	je	2f
	pushw	%ax
	movw	$SERIAL + 5, %dx
1:	inb	%dx, %al
	testb	$0x20, %al
	jz	1b
	popw	%ax
	movw	$SERIAL, %dx
	outb	%al, %dx
	popw	%dx
	ret
2:	outb	%al, $DEBUG_CONSOLE
	popw	%dx
	ret

/* The text at %si, up to a zero. */
print_text:
	lodsb
	testb	%al, %al
	jz	1f
	call	put_raw
	jmp	print_text
1:	ret

print_hex16:
	pushw	%ax
	movb	%ah, %al
	call	print_hex8
	popw	%ax
print_hex8:
	pushw	%ax
	shrb	$4, %al
	call	1f
	popw	%ax
1:	andb	$15, %al
	addb	$'0', %al
	cmpb	$'9', %al
	jbe	put_raw
	addb	$'a' - '9' - 1, %al
	jmp	put_raw

/* %al, 0 to 255. */
print_decimal:
	xorb	%ah, %ah
	cmpb	$10, %al
	jb	1f
	pushw	%cx
	movb	$10, %cl
	divb	%cl
	popw	%cx
	pushw	%ax
	call	print_decimal
	popw	%ax
	movb	%ah, %al
1:	addb	$'0', %al
	jmp	put_raw

/* ---- INT 11h, 12h ---- */

int11:	call	enter_handler
	movw	%es:0x10, %ax
	movw	%ax, F_AX(%bp)
	jmp	leave_handler

int12:	call	enter_handler
	movw	%es:0x13, %ax
	movw	%ax, F_AX(%bp)
	jmp	leave_handler

/* ---- INT 13h: disks ---- */

int13:	call	enter_handler
	movb	%dl, AT(request_drive)
	movw	$AT(disk_calls), %si
	jmp	dispatch

disk_calls:
	.byte	0x00
	.word	AT(disk_succeed)
	.byte	0x01
	.word	AT(disk_last_status)
	.byte	0x02
	.word	AT(disk_read)
	.byte	0x03
	.word	AT(disk_write)
	.byte	0x04
	.word	AT(disk_succeed)
	.byte	0x08
	.word	AT(disk_parameters)
	.byte	0x0d
	.word	AT(disk_succeed)
	.byte	0x15
	.word	AT(disk_type)
	.byte	0x41
	.word	AT(disk_has_extensions)
	.byte	0x42
	.word	AT(disk_extended_read)
	.byte	0x43
	.word	AT(disk_extended_write)
	.byte	0x44
	.word	AT(disk_succeed)
	.byte	0x48
	.word	AT(disk_extended_parameters)
	.byte	0xff
	.word	AT(disk_unknown)

disk_unknown:
	movb	$1, %al
	/* Falls through. */

/* %al is the status: of the call, and for who asks later. */
disk_end:
	movb	%al, F_AH(%bp)
	movb	%al, %es:DISK_STATUS
	testb	%al, %al
	jnz	fail
	jmp	leave_handler

disk_succeed:
	call	get_info
	jmp	disk_end

disk_last_status:
	movb	%es:DISK_STATUS, %al
	jmp	disk_end

disk_read:
	movb	$OP_READ | OP_CHS, AT(request_op)
	jmp	1f
disk_write:
	movb	$OP_WRITE | OP_CHS, AT(request_op)
1:	movzbw	%al, %ax
	movw	%ax, AT(request_count)
	movzwl	F_ES(%bp), %eax
	movzwl	F_BX(%bp), %ebx
	call	set_buffer
	movw	%cx, AT(request_place)
	movzbw	%dh, %ax
	movw	%ax, AT(request_place) + 2
	movl	$0, AT(request_place) + 4
	call	do_request
	testb	%al, %al
	jz	disk_end
	movb	$0, F_AL(%bp)
	jmp	disk_end

/* The packet at DS:SI: size, 0, count (2), offset (2), segment (2), sector (8). */
disk_extended_read:
	movb	$OP_READ, AT(request_op)
	jmp	1f
disk_extended_write:
	movb	$OP_WRITE, AT(request_op)
1:	movw	F_DS(%bp), %ax
	movw	%ax, %fs
	movw	F_SI(%bp), %si
	cmpb	$16, %fs:(%si)
	jb	disk_unknown
	movw	%fs:2(%si), %ax
	movw	%ax, AT(request_count)
	movzwl	%fs:6(%si), %eax
	movzwl	%fs:4(%si), %ebx
	call	set_buffer
	movl	%fs:8(%si), %eax
	movl	%eax, AT(request_place)
	movl	%fs:12(%si), %eax
	movl	%eax, AT(request_place) + 4
	call	do_request
	testb	%al, %al
	jz	disk_end
	movw	$0, %fs:2(%si)
	jmp	disk_end

disk_parameters:
	call	get_info
	testb	%al, %al
	jnz	disk_end
	movw	AT(info_cylinders), %ax
	decw	%ax
	movb	%al, %ch
	movb	%ah, %cl
	shlb	$6, %cl
	orb	AT(info_sectors_a_track), %cl
	movw	%cx, F_CX(%bp)
	movb	AT(info_heads), %ah
	decb	%ah
	movb	AT(info_drives), %al
	movw	%ax, F_DX(%bp)
	movb	AT(info_floppy_type), %al
	movb	%al, F_BX(%bp)
	xorb	%al, %al
	jmp	disk_end

/* 3: a hard disk of CX:DX sectors; 1: a floppy disk; 0: none. */
disk_type:
	call	get_info
	movb	$0, F_AH(%bp)
	testb	%al, %al
	jnz	leave_handler
	movb	$1, F_AH(%bp)
	testb	$0x80, AT(request_drive)
	jz	leave_handler
	movb	$3, F_AH(%bp)
	movw	AT(info_sectors), %ax
	movw	%ax, F_DX(%bp)
	movw	AT(info_sectors) + 2, %ax
	movw	%ax, F_CX(%bp)
	jmp	leave_handler

disk_has_extensions:
	movb	$1, %al
	cmpw	$0x55aa, F_BX(%bp)
	jne	disk_end
	call	get_info
	testb	%al, %al
	jnz	disk_end
	movw	$0xaa55, F_BX(%bp)
	movw	$1, F_CX(%bp)
	movb	%al, %es:DISK_STATUS
	movb	$0x21, F_AH(%bp)
	jmp	leave_handler

disk_extended_parameters:
	call	get_info
	testb	%al, %al
	jnz	disk_end
	movw	F_DS(%bp), %ax
	movw	%ax, %fs
	movw	F_SI(%bp), %si
	cmpw	$26, %fs:(%si)
	jb	disk_unknown
	movw	$26, %fs:(%si)
	movw	$2, %fs:2(%si)
	movzwl	AT(info_cylinders), %eax
	movl	%eax, %fs:4(%si)
	movzwl	AT(info_heads), %eax
	movl	%eax, %fs:8(%si)
	movzwl	AT(info_sectors_a_track), %eax
	movl	%eax, %fs:12(%si)
	movl	AT(info_sectors), %eax
	movl	%eax, %fs:16(%si)
	movl	AT(info_sectors) + 4, %eax
	movl	%eax, %fs:20(%si)
	movw	$512, %fs:24(%si)
	xorb	%al, %al
	jmp	disk_end

/* Segment %eax, offset %ebx. */
set_buffer:
	shll	$4, %eax
	addl	%ebx, %eax
	movl	%eax, AT(request_buffer)
	ret

/* What the drive in the request is; %al is the status. */
get_info:
	movb	$OP_INFO, AT(request_op)
	movl	$FW_BIOS_BASE + AT(info_sectors), AT(request_buffer)
	/* Falls through. */

/* %al is the status. */
do_request:
	pushw	%dx
	movw	DATA + BIOS_DATA_DISK_PORT, %dx
	movl	$FW_BIOS_BASE + AT(request_op), %eax
	outl	%eax, %dx
	inb	%dx, %al
	popw	%dx
	ret

/* ---- INT 15h: memory, A20, waiting, power ---- */

int15:	call	enter_handler
	cmpw	$0xe820, %ax
	je	memory_map
	cmpw	$0xe801, %ax
	je	memory_e801
	movw	$AT(system_calls), %si
	jmp	dispatch

system_calls:
	.byte	0x24
	.word	AT(a20)
	.byte	0x53
	.word	AT(apm)
	.byte	0x86
	.word	AT(wait_us)
	.byte	0x88
	.word	AT(memory_88)
	.byte	0xff
	.word	AT(unknown_call)

/* %ebx is the entry's number, and 0 again behind the last. */
memory_map:
	cmpl	$0x534d4150, %edx	/* "SMAP" */
	jne	unknown_call
	cmpl	$BIOS_MAP_ENTRY_BYTES, %ecx
	jb	unknown_call
	movl	F_BX(%bp), %ebx
	movzwl	DATA + BIOS_DATA_MAP_COUNT, %eax
	cmpl	%eax, %ebx
	jae	unknown_call
	imulw	$BIOS_MAP_ENTRY_BYTES, %bx, %si
	addw	$DATA + BIOS_DATA_MAP, %si
	movw	F_ES(%bp), %cx
	movw	%cx, %es
	movw	$BIOS_MAP_ENTRY_BYTES / 2, %cx
	rep
	movsw
	incl	%ebx
	cmpl	%eax, %ebx
	jb	1f
	xorl	%ebx, %ebx
1:	movl	%ebx, F_BX(%bp)
	movl	$0x534d4150, F_AX(%bp)
	movl	$BIOS_MAP_ENTRY_BYTES, F_CX(%bp)
	jmp	leave_handler

memory_e801:
	movw	DATA + BIOS_DATA_KIB_TO_16M, %ax
	movw	%ax, F_AX(%bp)
	movw	%ax, F_CX(%bp)
	movw	DATA + BIOS_DATA_64K_ABOVE, %ax
	movw	%ax, F_BX(%bp)
	movw	%ax, F_DX(%bp)
	jmp	leave_handler

memory_88:
	movw	DATA + BIOS_DATA_KIB_ABOVE_1M, %ax
	movw	%ax, F_AX(%bp)
	jmp	leave_handler

/* Address line 20 is always on. */
a20:	movb	$0, F_AH(%bp)
	cmpb	$1, %al
	jbe	leave_handler
	cmpb	$2, %al
	jne	1f
	movb	$1, F_AL(%bp)
	jmp	leave_handler
1:	cmpb	$3, %al
	jne	unknown_call
	movw	$3, F_BX(%bp)
	jmp	leave_handler

/* As much of APM as switching off takes: check, connect, enable, state. */
apm:	cmpb	$0x07, %al
	jne	1f
	cmpw	$3, %cx
	jne	leave_handler
	xorb	%al, %al
	outb	%al, $EXIT_PORT
1:	testb	%al, %al
	jnz	leave_handler
	movw	$0x0102, F_AX(%bp)
	movw	$0x504d, F_BX(%bp)	/* "PM" */
	movw	$0, F_CX(%bp)
	jmp	leave_handler

/* CX:DX microseconds, by the timer's count, which goes down 1.193182 times in each. */
wait_us:
	movzwl	%cx, %eax
	shll	$16, %eax
	movw	%dx, %ax
	movl	$78196, %ecx
	mull	%ecx
	shrdl	$16, %edx, %eax
	movl	%eax, %ecx
	call	read_timer
	movw	%ax, %bx
1:	call	read_timer
	subw	%ax, %bx
	movzwl	%bx, %edx
	movw	%ax, %bx
	subl	%edx, %ecx
	ja	1b
	jmp	leave_handler

read_timer:
	pushfw
	cli
	xorb	%al, %al
	outb	%al, $0x43
	inb	$0x40, %al
	movb	%al, %ah
	inb	$0x40, %al
	xchgb	%al, %ah
	popfw
	ret

/* ---- INT 16h: keys ---- */

int16:	call	enter_handler
	andb	$~0x10, %ah		/* 10h to 12h are 00h to 02h for other keyboards */
	movw	$AT(key_calls), %si
	jmp	dispatch

key_calls:
	.byte	0x00
	.word	AT(key_get)
	.byte	0x01
	.word	AT(key_peek)
	.byte	0x02
	.word	AT(key_flags)
	.byte	0xff
	.word	AT(leave_handler)

key_get:
	call	poll_serial
	cli
	movw	%es:KEY_HEAD, %si
	cmpw	%es:KEY_TAIL, %si
	jne	1f
	sti				/* takes effect behind the next: no interrupt is missed */
	hlt
	jmp	key_get
1:	movw	%es:(%si), %ax
	movw	%ax, F_AX(%bp)
	call	next_key_place
	movw	%si, %es:KEY_HEAD
	jmp	leave_handler

key_peek:
	call	poll_serial
	orw	$ZERO, F_FLAGS(%bp)
	movw	%es:KEY_HEAD, %si
	cmpw	%es:KEY_TAIL, %si
	je	leave_handler
	andw	$~ZERO, F_FLAGS(%bp)
	movw	%es:(%si), %ax
	movw	%ax, F_AX(%bp)
	jmp	leave_handler

key_flags:
	movb	%es:KEY_FLAGS, %al
	movb	%al, F_AL(%bp)
	jmp	leave_handler

/* %si goes on in the ring. */
next_key_place:
	addw	$2, %si
	cmpw	$KEYS_END, %si
	jb	1f
	movw	$KEYS, %si
1:	ret

/* %ax, scan code and character, into the ring, if there is room. Changes %si, %di. */
put_key:
	pushfw
	cli
	movw	%es:KEY_TAIL, %si
	movw	%si, %di
	call	next_key_place
	cmpw	%es:KEY_HEAD, %si
	je	1f
	movw	%ax, %es:(%di)
	movw	%si, %es:KEY_TAIL
1:	popfw
	ret

/* Carry: no byte is there; else it is in %al. */
get_serial:
	cmpb	$1, AT(has_serial)
	jb	1f
	movw	$SERIAL + 5, %dx
	inb	%dx, %al
	shrb	%al
	cmc
	jc	1f
	movw	$SERIAL, %dx
	inb	%dx, %al
1:	ret

/* A key from the serial port, if there is one and nothing older. */
poll_serial:
	movw	%es:KEY_HEAD, %ax
	cmpw	%es:KEY_TAIL, %ax
	jne	9f
	call	get_serial
	jc	9f
	cmpb	$0x1b, %al
	je	3f
1:	cmpb	$'\n', %al
	jne	2f
	movb	$'\r', %al
2:	cmpb	$0x7f, %al
	jne	4f
	movb	$'\b', %al
4:	call	find_scan_code
	jmp	put_key
	/* An arrow key of a terminal is ESC [ and a letter. ESC alone is a key. */
3:	movw	$200, %cx		/* its next byte may be a little late */
7:	call	get_serial
	jnc	8f
	loop	7b
8:	movw	$0x011b, %cx
	jc	5f
	cmpb	$'[', %al
	je	6f
	xchgw	%ax, %cx
	call	put_key
	movb	%cl, %al
	jmp	1b
6:	call	get_serial
	jc	6b
	movb	%al, %bl
	subb	$'A', %bl
	cmpb	$4, %bl
	jae	9f
	xorb	%bh, %bh
	movb	AT(arrows)(%bx), %ch
	movb	$0, %cl
5:	movw	%cx, %ax
	jmp	put_key
9:	ret

/* For the character %al: %ah is the key that makes it, 0 if none does. */
find_scan_code:
	movw	$AT(plain_keys), %si
	xorw	%bx, %bx
1:	cmpb	%al, AT(plain_keys)(%bx)
	je	2f
	cmpb	%al, AT(shifted_keys)(%bx)
	je	2f
	incw	%bx
	cmpw	$KEY_COUNT, %bx
	jb	1b
	xorb	%bl, %bl
2:	movb	%bl, %ah
	ret

#define SHIFT 3 /* both */
#define CONTROL 4
#define ALT 8
#define CAPS 0x40

/* A byte of the keyboard, in the codes of set 1. */
take_scan_code:
	movb	%al, %bl
	andb	$0x7f, %bl
	xorb	%bh, %bh
	/* Keys that change others: bits of the flags. */
	movw	$AT(modifiers), %si
1:	cmpb	$0, (%si)
	je	3f
	cmpb	(%si), %bl
	je	2f
	addw	$2, %si
	jmp	1b
2:	movb	1(%si), %cl
	testb	$0x80, %al
	jnz	4f
	orb	%cl, %es:KEY_FLAGS
	ret
4:	notb	%cl
	andb	%cl, %es:KEY_FLAGS
	ret
3:	testb	$0x80, %al
	jnz	9f
	cmpb	$0x3a, %al
	jne	5f
	xorb	$CAPS, %es:KEY_FLAGS
	ret
5:	movb	%al, %ah
	xorb	%al, %al
	cmpb	$KEY_COUNT, %bl
	jae	put_key			/* function keys, arrows */
	movb	%es:KEY_FLAGS, %cl
	movb	AT(plain_keys)(%bx), %al
	testb	$SHIFT, %cl
	jz	6f
	movb	AT(shifted_keys)(%bx), %al
6:	testb	$CAPS, %cl
	jz	7f
	movb	%al, %ch
	orb	$0x20, %ch
	subb	$'a', %ch
	cmpb	$26, %ch
	jae	7f
	xorb	$0x20, %al
7:	testb	$CONTROL, %cl
	jz	8f
	andb	$0x1f, %al
8:	testb	$ALT, %cl
	jz	put_key
	xorb	%al, %al
	jmp	put_key
9:	ret

/* ---- INT 1Ah: the time ---- */

int1a:	call	enter_handler
	movw	$AT(time_calls), %si
	jmp	dispatch

time_calls:
	.byte	0x00
	.word	AT(time_ticks)
	.byte	0x01
	.word	AT(time_set_ticks)
	.byte	0x02
	.word	AT(time_clock)
	.byte	0x04
	.word	AT(time_date)
	.byte	0xff
	.word	AT(fail)

time_ticks:
	cli
	movw	%es:TICKS, %ax
	movw	%ax, F_DX(%bp)
	movw	%es:TICKS + 2, %ax
	movw	%ax, F_CX(%bp)
	xorb	%al, %al
	xchgb	%al, %es:MIDNIGHT
	movb	%al, F_AL(%bp)
	jmp	leave_handler

time_set_ticks:
	cli
	movw	%dx, %es:TICKS
	movw	%cx, %es:TICKS + 2
	movb	$0, %es:MIDNIGHT
	jmp	leave_handler

/* As the clock chip has them: two decimal digits a byte. */
time_clock:
	movb	$4, %al
	call	read_clock
	movb	%al, F_CX + 1(%bp)
	movb	$2, %al
	call	read_clock
	movb	%al, F_CX(%bp)
	movb	$0, %al
	call	read_clock
	movb	%al, F_DX + 1(%bp)
	movb	$0, F_DX(%bp)
	jmp	leave_handler

time_date:
	movb	$0x32, %al
	call	read_clock
	movb	%al, F_CX + 1(%bp)
	movb	$9, %al
	call	read_clock
	movb	%al, F_CX(%bp)
	movb	$8, %al
	call	read_clock
	movb	%al, F_DX + 1(%bp)
	movb	$7, %al
	call	read_clock
	movb	%al, F_DX(%bp)
	jmp	leave_handler

read_clock:
	outb	%al, $0x70
	inb	$0x71, %al
	ret

/* ---- Tables ---- */

	.macro	vector number, handler
	.word	4 * \number, AT(\handler)
	.endm

/* These two are for bios.c. Of all interrupts that are not here the handler is bios_nothing. */
	.balign	2
bios_vectors:
	vector	0x00, fault_00
	vector	0x06, fault_06
	vector	0x08, irq0
	vector	0x09, irq1
	vector	0x0a, end_irq1
	vector	0x0b, irq_0b
	vector	0x0c, irq_0c
	vector	0x0d, irq_0d
	vector	0x0e, end_irq1
	vector	0x0f, end_irq1
	vector	0x10, int10
	vector	0x11, int11
	vector	0x12, int12
	vector	0x13, int13
	vector	0x15, int15
	vector	0x16, int16
	vector	0x18, int18
	vector	0x19, int19
	vector	0x1a, int1a
	vector	0x70, end_irq2
	vector	0x71, end_irq2
	vector	0x72, end_irq2
	vector	0x73, end_irq2
	vector	0x74, end_irq2
	vector	0x75, end_irq2
	vector	0x76, end_irq2
	vector	0x77, end_irq2
	.word	0xffff

/* The data area: offset, word. What is not here is zero, or the machine's. */
bios_area:
	.word	0x00, SERIAL
	.word	0x0e, 0x9fc0		/* segment of the extended data area */
	.word	0x10, 0x0220		/* one serial port, 80 columns in colour */
	.word	KEY_HEAD, KEYS
	.word	KEY_TAIL, KEYS
	.word	VIDEO_MODE, COLUMNS << 8 | 3
	.word	0x4b, 0
	.word	0x4c, 0x1000		/* bytes of a page */
	.word	0x60, 0x0607		/* the cursor's shape */
	.word	0x63, 0x3d4
	.word	0x80, KEYS
	.word	0x82, KEYS_END
	.word	0x84, 16 << 8 | (ROWS - 1)
	.word	0xffff

modifiers:
	.byte	0x2a, 2, 0x36, 1, 0x1d, CONTROL, 0x38, ALT, 0

/* Up, down, right, left. */
arrows:	.byte	0x48, 0x50, 0x4d, 0x4b

/* By scan code. */
plain_keys:
	.ascii	"\0\0331234567890-=\b\tqwertyuiop[]\r\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 "
plain_end:
shifted_keys:
	.ascii	"\0\033!@#$%^&*()_+\b\tQWERTYUIOP{}\r\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 "
	.if	plain_end - plain_keys != KEY_COUNT
	.error	"a key is missing"
	.endif

text_clear:
	.asciz	"\033[2J\033[H"
text_escape:
	.asciz	"\033["
text_no_mark:
	.asciz	"BIOS: the first sector of the disk does not end in 55 aa\r\n"
text_int18:
	.asciz	"BIOS: the boot sector gave up (INT 18h)\r\n"
text_fault:
	.asciz	"\r\nBIOS: nobody handles exception "
text_at:
	.asciz	"h at "
text_newline:
	.asciz	"\r\n"

/* ---- Variables ---- */

has_serial:
	.byte	0
	.balign	4
handler:
	.word	0

/* struct bios_disk_request of devices/legacy/bios_disk.c */
	.balign	8
request_op:
	.byte	0
request_drive:
	.byte	0
request_count:
	.word	0
request_buffer:
	.long	0
request_place:
	.quad	0

/* struct bios_disk_answer */
info_sectors:
	.quad	0
info_cylinders:
	.word	0
info_heads:
	.word	0
info_sectors_a_track:
	.word	0
info_drives:
	.byte	0
info_floppy_type:
	.byte	0
bios_end:

	.section .note.GNU-stack, "", @progbits
