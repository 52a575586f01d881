# Lab 08: main.c here calls what the student writes in rng.c.
LAB         := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
LAB_SOURCES := main.c
COMMON      := boot.S console.c options.c interrupts.c interrupts_entry.S apic.c
RUN_OPTIONS ?= --append read
include $(LAB)/../common/rules.mk
