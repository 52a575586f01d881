# Lab 04: main.c here calls what the student writes in paging.c.
LAB         := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
LAB_SOURCES := main.c
COMMON      := boot.S console.c options.c interrupts.c interrupts_entry.S
RUN_OPTIONS ?= --append tables
include $(LAB)/../common/rules.mk
