# Lab 03: main.c here calls what the student writes in uart.c.
LAB         := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
LAB_SOURCES := main.c
COMMON      := boot.S options.c interrupts.c interrupts_entry.S
RUN_OPTIONS ?= --append polled
include $(LAB)/../common/rules.mk
