# Lab 06: main.c here runs programs.S by what the student writes in user.c and entry.S.
LAB         := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
LAB_SOURCES := main.c memory.c programs.S
COMMON      := boot.S console.c options.c interrupts.c interrupts_entry.S
RUN_OPTIONS ?= --append hello
include $(LAB)/../common/rules.mk
