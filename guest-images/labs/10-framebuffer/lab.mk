# Lab 10: main.c here calls what the student writes in screen.c, keyboard.c and game.c.
LAB         := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
LAB_SOURCES := main.c sprite.c
COMMON      := boot.S console.c options.c interrupts.c interrupts_entry.S
RUN_OPTIONS ?= --append game --display sdl,320x200
include $(LAB)/../common/rules.mk
