# Lab 01: one file of assembler becomes a boot sector.
LAB    := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
KERNEL := boot.bin
include $(LAB)/../common/rules.mk
