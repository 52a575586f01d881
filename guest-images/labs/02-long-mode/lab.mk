# Lab 02: the student's boot.S and the lab's report.S are one boot sector.
LAB    := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
KERNEL := boot.bin
BOOT_LAB_SOURCES := report.S
include $(LAB)/../common/rules.mk
