# Lab 05: main.c here has the tasks, which the student's tasks.c switches.
LAB         := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
LAB_SOURCES := main.c registers.S yield.S
COMMON      := boot.S console.c options.c interrupts.c interrupts_entry.S
RUN_OPTIONS ?= --append timer
include $(LAB)/../common/rules.mk
