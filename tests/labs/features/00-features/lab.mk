# Not a lab: what a LAB.toml can ask for, each once. The kernel, a boot sector and a program.
LAB         := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
LABS        := $(LAB)/../../../../guest-images/labs
COMMON      := boot.S console.c options.c
include $(LABS)/common/rules.mk
.DEFAULT_GOAL := all

all: kernel.elf sector.bin program

sector.bin: sector.txt
	as --32 -o sector.o $<
	ld -m elf_i386 -Ttext=0x7c00 -e 0 --oformat binary -o $@ sector.o

# It is a program of the host's.
program: program.txt
	$(CC) -O1 -x c -o $@ $<
