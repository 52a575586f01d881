# Lab 07: main.c here has what the processors do, which smp.c and trampoline.S of the student start.
LAB         := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
LAB_SOURCES := main.c machine.c
COMMON      := boot.S console.c options.c
RUN_OPTIONS ?= --append start --cpus 2
include $(LAB)/../common/rules.mk
