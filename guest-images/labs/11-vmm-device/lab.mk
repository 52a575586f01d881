# Lab 11: the student's dice.c becomes a part of vmm. Three things are built: a program that tests the
# device alone, a vmm that has it, and a guest that uses it.
#
# Most of vmm is built already, by `make` in its source tree: compiled here are dice.c and the table
# of devices, with the flags of that build, which obj/flags says, and linked is the archive of the
# rest.
LAB    := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
TOP    := $(abspath $(LAB)/../../..)
COMMON := boot.S console.c options.c interrupts.c interrupts_entry.S
KERNEL := guest.elf
include $(LAB)/../common/rules.mk
.DEFAULT_GOAL := all

# Beside the vmm that grades, or where the source tree has its builds.
OBJ := $(firstword $(wildcard $(dir $(VMM))obj $(TOP)/build/obj))
ifneq ($(words $(wildcard $(OBJ)/libvmm.a $(TOP)/devices/devices.c)),2)
$(error error: this lab has to lie in the source tree of vmm, which is built by make)
endif
COMPILE := $(shell cut -d '|' -f 1 $(OBJ)/flags) -I$(TOP)
LINK    := $(shell cut -d '|' -f 2 $(OBJ)/flags)
LIBS    := -lz -llz4 -lzstd -l:libfdt.a

.PHONY: all check clean-more
all: dice-test vmm guest.elf

# The line of dice.def behind those of vmm's own list, which is found here first.
devices/device-list.def: $(TOP)/devices/device-list.def dice.def
	mkdir -p devices
	cat $^ > $@

devices.o: $(TOP)/devices/devices.c devices/device-list.def
	$(COMPILE) -c -o $@ $<

dice.o: dice.c
	$(COMPILE) -c -o $@ $<

dice-test.o: $(LAB)/dice-test.c
	$(COMPILE) -c -o $@ $<

dice-test: dice-test.o dice.o devices.o $(OBJ)/libvmm.a
	$(LINK) -o $@ $^ $(LIBS)

vmm: $(OBJ)/vmm/main.o dice.o devices.o $(OBJ)/libvmm.a
	$(LINK) -o $@ $^ $(LIBS)

guest.elf: lab-guest.c.o $(patsubst %,common-%.o,$(COMMON))
	$(CC) $(LDFLAGS) -o $@ $^

check: dice-test
	for word in list start throws sides full hostile interrupt reset; do \
		echo "$$word:" && ./dice-test $$word || exit 1; done

run: override VMM := ./vmm
run: vmm

clean: clean-more
clean-more:
	rm -rf devices dice-test vmm
