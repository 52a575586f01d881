# Builds a lab's kernel. A lab's lab.mk sets what it needs and includes this:
#
#   LAB_SOURCES   files of the lab's own folder that every kernel of it has
#   COMMON        files of this folder
#   KERNEL        kernel.elf (the default), or boot.bin: a boot sector from boot.S and
#                 BOOT_LAB_SOURCES
#   RUN_OPTIONS   more options of vmm for `make run`
#
# It works in the folder where make is started: all *.c and *.S there are the student's. gcc and
# binutils are all that is needed.

COMMON_DIR := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
KERNEL     ?= kernel.elf
VMM        ?= vmm
CC         := gcc
# Below the compiler's own headers there is nothing: no C library, no vector registers, no stack
# below the stack pointer, for interrupts push there.
CFLAGS     := -std=gnu17 -O2 -g -Wall -Wextra -ffreestanding -fno-pie -fno-stack-protector \
	-fno-asynchronous-unwind-tables -fcf-protection=none -mno-red-zone -mgeneral-regs-only \
	-I. -I$(LAB) -I$(COMMON_DIR)
LDFLAGS    := -nostdlib -static -no-pie -Wl,-T,$(COMMON_DIR)/kernel.ld -Wl,--build-id=none \
	-Wl,-z,noexecstack

# Where two files have one name the prefixes keep their objects apart.
OBJECTS := $(patsubst %,common-%.o,$(COMMON)) $(patsubst %,lab-%.o,$(LAB_SOURCES)) \
	$(patsubst %,%.o,$(sort $(wildcard *.c *.S)))
HEADERS := $(wildcard *.h $(LAB)/*.h $(COMMON_DIR)/*.h)

.DEFAULT_GOAL := $(KERNEL)
.PHONY: run grade clean
.SUFFIXES:
.DELETE_ON_ERROR:

kernel.elf: $(OBJECTS) $(COMMON_DIR)/kernel.ld
	$(CC) $(LDFLAGS) -o $@ $(OBJECTS)

common-%.o: $(COMMON_DIR)/% $(HEADERS)
	$(CC) $(CFLAGS) -c -o $@ $<

lab-%.o: $(LAB)/% $(HEADERS)
	$(CC) $(CFLAGS) -c -o $@ $<

%.o: % $(HEADERS)
	$(CC) $(CFLAGS) -c -o $@ $<

# A boot sector from boot.S alone, which brings the mark 55 aa itself; or from boot.S and, behind
# it, files of the lab's own folder: then the linker script puts the mark there.
SECTOR := sector-boot.S.o $(patsubst %,sector-lab-%.o,$(BOOT_LAB_SOURCES))
SECTOR_PLACE := $(if $(BOOT_LAB_SOURCES),-T $(COMMON_DIR)/boot-sector.ld,-Ttext=0x7c00 -e 0)

boot.bin: $(SECTOR) $(COMMON_DIR)/boot-sector.ld
	ld -m elf_i386 $(SECTOR_PLACE) --oformat binary -o $@ $(SECTOR)

sector-boot.S.o: boot.S
	$(CC) -m32 -Wa,--noexecstack -c -o $@ $<

sector-lab-%.o: $(LAB)/%
	$(CC) -m32 -Wa,--noexecstack -c -o $@ $<

run: $(KERNEL)
	$(VMM) --kernel $(KERNEL) --cpus 1 --memory 32M --net none $(RUN_OPTIONS)

grade:
	$(VMM) grade --lab $(LAB) .

clean:
	rm -f *.o *.elf *.bin
