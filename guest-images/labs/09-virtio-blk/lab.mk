# Lab 09: main.c here calls what the student writes in blk.c and file.c; virtio.c is lab 08's part.
LAB         := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
LAB_SOURCES := main.c virtio.c
COMMON      := boot.S console.c options.c
RUN_OPTIONS ?= --append read --disk $(LAB)/sectors.txt,ephemeral
include $(LAB)/../common/rules.mk
