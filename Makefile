# vmm: one Makefile, no recursion into folders, all output below build/.
#
#   make [V=1] [CC=clang] [SAN=address,undefined | SAN=thread] [BUILD=build] [EXCLUDE='a.c b.c']
#
# SAN= builds a second tree with sanitizers in build/san-…/. BUILD= puts everything elsewhere, so
# that several builds of one source tree can run at once. EXCLUDE= leaves sources out while they
# are being written. `make help` lists the targets.

ifeq ($(origin CC),default)
CC := gcc
endif
CFLAGS  ?= -g
BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
EXCLUDE ?=
SAN     ?=
Q       := $(if $(V),,@)
comma   := ,

# ---- Flags. CFLAGS, CPPFLAGS, LDFLAGS are the user's and cancel none of the mandatory ones. ----

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 \
	-Wundef -Werror

# A sanitizer finds more without the C library's own checks in front of it.
SAN_NAME := $(subst $(comma),-,$(SAN))
SAN_CC   := $(if $(SAN),-DVMM_SANITIZED -O1 -fno-omit-frame-pointer -fno-sanitize-recover=all \
	-fsanitize=$(subst fuzzer,fuzzer-no-link,$(SAN)))
SAN_LD   := $(if $(SAN),-fsanitize=$(subst fuzzer,fuzzer-no-link,$(SAN)))
FORTIFY  := $(if $(SAN)$(filter -O0,$(CFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)

# A small program is read and relocated sooner: what nothing refers to is left out, relocations are
# packed where the linker knows how, and there are no tables for unwinding, which C does not do. A
# debugger has its own; a sanitizer needs them.
SMALL_CC := $(if $(SAN),,-fno-asynchronous-unwind-tables -fno-unwind-tables \
	-ffunction-sections -fdata-sections)
PACK_LD  := $(if $(shell $(CC) -Wl,--help 2>/dev/null | grep -e pack-relative-relocs),\
	-Wl$(comma)-z$(comma)pack-relative-relocs)
SMALL_LD := $(if $(SAN),,-Wl$(comma)--gc-sections $(PACK_LD))

OPTIMIZE = -O2
COMPILE = $(CC) $(OPTIMIZE) $(SMALL_CC) $(CFLAGS) $(CPPFLAGS) -std=gnu17 -D_GNU_SOURCE -I. $(WARNINGS) \
	-pthread -fPIE -fstack-protector-strong -fstack-clash-protection $(FORTIFY) $(SAN_CC)
LINK    = $(CC) $(LDFLAGS) -pthread -pie -Wl,-z,relro -Wl,-z,now -Wl,--as-needed $(SMALL_LD) \
	$(SAN_LD)
# Of libfdt a few functions go into the program; the others' libraries are loaded when used.
LIBS    := -lz -llz4 -lzstd -llzma -l:libfdt.a
HEADERS := zlib.h lz4.h lz4frame.h zstd.h lzma.h slirp/libslirp.h SDL2/SDL.h rfb/rfb.h libfdt.h \
	linux/kvm.h

# ---- What there is ----

VARIANT := $(BUILD)/$(if $(SAN),san-$(SAN_NAME)-$(notdir $(firstword $(CC))))
OUT     := $(patsubst %/,%,$(VARIANT))
OBJ     := $(OUT)/obj

SOURCES := $(filter-out vmm/static/% $(EXCLUDE),$(sort $(wildcard \
	vmm/*.c vmm/*/*.c devices/*.c devices/*/*.c firmware/*.c)))
ASM     := $(filter-out $(EXCLUDE),$(sort $(wildcard firmware/*.S)))
FAKES   := $(filter-out $(EXCLUDE),$(sort $(wildcard tests/fake/*.c)))
UNITS   := $(filter-out $(EXCLUDE),$(sort $(wildcard tests/unit/test_*.c)))
KVMS    := $(filter-out $(EXCLUDE),$(sort $(wildcard tests/boot/kvm_*.c)))
FUZZES  := $(filter-out $(EXCLUDE),$(sort $(wildcard tests/fuzz/fuzz_*.c)))

# The verbs that are programs of their own: vmm/tools/vmm_NAME.c has the main() of one, a script
# there is one.
TOOL_MAINS   := $(filter-out $(EXCLUDE),$(sort $(wildcard vmm/tools/vmm_*.c)))
TOOL_SCRIPTS := $(filter-out $(EXCLUDE),$(sort $(shell find vmm/tools -maxdepth 1 -type f \
	! -name '*.*' 2>/dev/null)))
# The modules of a script that is too long for one file, in a folder beside it.
TOOL_MODULES := $(sort $(wildcard vmm/tools/*/*.py))

# What runs once, beside the guest or for people: small rather than fast. Not what is done for each
# exit, byte, packet or block, nor what looks at all of a kernel.
COLD := $(filter-out vmm/vm_input.c firmware/acpi%.c firmware/aml.c firmware/elf.c \
	firmware/kernel_cache%.c firmware/unpack%.c, \
	$(wildcard vmm/*.c firmware/*.c)) \
	$(wildcard devices/backend/*_open.c devices/backend/display_sdl*.c \
	devices/backend/display_vnc*.c devices/backend/net_tap*.c devices/backend/term.c \
	vmm/base/opts.c) \
	$(filter-out vmm/kvm/vcpu%.c vmm/kvm/exit_ring.c vmm/kvm/irqchip.c vmm/kvm/cpu%.c, \
	$(wildcard vmm/kvm/*.c))

# Everything but the main() functions lies in one archive, so that a test links only what it uses.
LIB_OBJECTS  := $(patsubst %.c,$(OBJ)/%.o,$(filter-out vmm/main.c $(TOOL_MAINS),$(SOURCES)) \
	$(FAKES)) $(ASM:%.S=$(OBJ)/%.o)
UNIT_BINS    := $(UNITS:%.c=$(OUT)/%)
KVM_BINS     := $(KVMS:%.c=$(OUT)/%)
FUZZ_BINS    := $(FUZZES:%.c=$(OUT)/%)
REPLAY_BINS  := $(FUZZES:tests/fuzz/fuzz_%.c=$(OUT)/tests/fuzz/replay_%)

BIN     := $(OUT)/vmm
TOOLS   := $(TOOL_MAINS:vmm/tools/vmm_%.c=$(OUT)/libexec/vmm/%) \
	$(TOOL_SCRIPTS:vmm/tools/%=$(OUT)/libexec/vmm/%)
MODULES := $(TOOL_MODULES:vmm/tools/%=$(OUT)/libexec/vmm/%)
MANPAGE := $(OUT)/vmm.1
BASH_COMPLETION := $(OUT)/completions/vmm
ZSH_COMPLETION  := $(OUT)/completions/_vmm

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: all docs packages run check check-quick check-unit check-fuzz check-boot fuzz install \
	uninstall clean help unit-tests kvm-tests fuzzers replayers guest-default guest-debian \
	guest-desktop guest-kernels guest-linux guest-micro bench bench-check static FORCE

all: $(BIN) $(TOOLS) $(MODULES)
docs: $(MANPAGE) $(BASH_COMPLETION) $(ZSH_COMPLETION)

# ---- Compile and link ----

say = @printf '  %-6s %s\n' $(1) $(2)

# Other flags or another compiler than last time: build again. The stamps change only then.
FLAGS_TEXT  := $(COMPILE) | $(LINK) | $(COLD)
SOURCE_TEXT := $(LIB_OBJECTS:$(OBJ)/%=%)
ifneq ($(strip $(file <$(OBJ)/flags)),$(strip $(FLAGS_TEXT)))
$(OBJ)/flags: FORCE
endif
ifneq ($(strip $(file <$(OBJ)/sources)),$(strip $(SOURCE_TEXT)))
$(OBJ)/sources: FORCE
endif

$(OBJ)/flags: $(OBJ)/toolchain
	@printf '%s\n' '$(FLAGS_TEXT)' > $@

$(OBJ)/sources:
	@mkdir -p $(@D)
	@printf '%s\n' '$(SOURCE_TEXT)' > $@

# A missing package is told before the compiler fills the screen.
$(OBJ)/toolchain:
	@mkdir -p $(@D)
	@CC='$(CC)' scripts/probe-toolchain $(HEADERS)
	@touch $@

$(COLD:%.c=$(OBJ)/%.o): OPTIMIZE = -Os
$(OBJ)/%.o: %.c $(OBJ)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -MMD -MP -c -o $@ $<

# Guest code: flags for our own are of no concern to it.
$(OBJ)/%.o: %.S $(OBJ)/flags
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -I. -MMD -MP -c -o $@ $<

# Another file that is in it.
$(OBJ)/vmm/tools/trace_html.o: vmm/tools/trace_page.html

# A thin archive keeps paths: two files of one name in two folders are two members.
$(OBJ)/libvmm.a: $(LIB_OBJECTS) $(OBJ)/sources
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcsT $@ $(LIB_OBJECTS)

$(BIN): $(OBJ)/vmm/main.o $(OBJ)/libvmm.a
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^ $(LIBS)

$(TOOL_MAINS:vmm/tools/vmm_%.c=$(OUT)/libexec/vmm/%): $(OUT)/libexec/vmm/%: \
		$(OBJ)/vmm/tools/vmm_%.o $(OBJ)/libvmm.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) -o $@ $^ $(LIBS)

$(TOOL_SCRIPTS:vmm/tools/%=$(OUT)/libexec/vmm/%): $(OUT)/libexec/vmm/%: vmm/tools/%
	$(Q)install -D -m 755 $< $@

$(MODULES): $(OUT)/libexec/vmm/%: vmm/tools/%
	$(Q)install -D -m 644 $< $@

# The linker's word that names of users, which only doctor asks for, may need a shared library.
STATIC_QUIET = $(if $(shell $(CC) -Wl,--help 2>/dev/null | grep -e --no-warnings),\
	-Wl$(comma)--no-warnings)

# The same objects without shared libraries: half the cost of a start, for who needs none of them.
static: $(OUT)/vmm-static

$(OUT)/vmm-static: $(OBJ)/vmm/main.o $(OBJ)/vmm/static/no_libraries.o $(OBJ)/libvmm.a
	$(call say,LINK,$@)
	$(Q)$(LINK) -static-pie $(STATIC_QUIET) -o $@ $^ $(LIBS)

$(UNIT_BINS) $(KVM_BINS): $(OUT)/%: $(OBJ)/%.o $(OBJ)/libvmm.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) -o $@ $^ $(LIBS) -lcmocka

# Fuzzers need clang and SAN=fuzzer,…; replayers run the same function over files, with any
# compiler.
$(FUZZ_BINS): $(OUT)/%: $(OBJ)/%.o $(OBJ)/libvmm.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) -fsanitize=fuzzer -o $@ $^ $(LIBS)

$(REPLAY_BINS): $(OUT)/tests/fuzz/replay_%: $(OBJ)/tests/fuzz/fuzz_%.o \
		$(OBJ)/tests/fuzz/standalone_main.o $(OBJ)/libvmm.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) -o $@ $^ $(LIBS)

# What a start costs, beside containers and other programs like it; ARGS go to `vmm bench boot`.
bench:
	+@BUILD='$(BUILD)' MAKE='$(MAKE)' tests/bench/boot $(ARGS)

# What vmm's own start and a whole start execute, against tests/bench/start.baseline and
# boot.baseline.
bench-check: $(BIN) $(TOOLS) $(MODULES)
	@status=0; export BUILD='$(BUILD)' VMM='$(abspath $(BIN))'; \
	tests/bench/start --check || status=1; \
	tests/bench/boot-check --check || status=1; exit $$status

unit-tests: $(UNIT_BINS)
kvm-tests: $(KVM_BINS)
fuzzers: $(FUZZ_BINS)
replayers: $(REPLAY_BINS)

-include $(LIB_OBJECTS:.o=.d) $(OBJ)/vmm/main.d $(TOOL_MAINS:%.c=$(OBJ)/%.d) $(OBJ)/tests/fuzz/standalone_main.d \
	$(patsubst %.c,$(OBJ)/%.d,$(UNITS) $(KVMS) $(FUZZES))

# ---- Documents made from the option tables ----

$(MANPAGE): vmm/vmm.1 $(BIN)
	$(call say,DOC,$@)
	$(Q)$(BIN) help --man $< > $@

$(BASH_COMPLETION): $(BIN)
	$(call say,DOC,$@)
	@mkdir -p $(@D)
	$(Q)$(BIN) help --completion bash > $@

$(ZSH_COMPLETION): $(BIN)
	$(call say,DOC,$@)
	@mkdir -p $(@D)
	$(Q)$(BIN) help --completion zsh > $@

# ---- Packages, guests, the first run ----

packages:
	@scripts/need-packages $$(scripts/packages build check run)

guest-default guest-debian guest-desktop guest-kernels guest-linux guest-micro: guest-%:
	@GUEST_OUT='$(abspath $(BUILD))/guest' guest-images/$*/build.sh

run:
	+@BUILD='$(BUILD)' MAKE='$(MAKE)' ARGS='$(ARGS)' scripts/run-default

# ---- Checks: every step is run and printed by tests/run-tests ----

check check-quick check-unit check-fuzz check-boot fuzz:
	+@BUILD='$(BUILD)' MAKE='$(MAKE)' FUZZ_SECONDS='$(FUZZ_SECONDS)' tests/run-tests $@

# ---- Install ----

LIBEXECDIR = $(DESTDIR)$(PREFIX)/libexec/vmm
BINDIR  = $(DESTDIR)$(PREFIX)/bin
MANDIR  = $(DESTDIR)$(PREFIX)/share/man/man1
DOCDIR  = $(DESTDIR)$(PREFIX)/share/doc/vmm
BASHDIR = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
ZSHDIR  = $(DESTDIR)$(PREFIX)/share/zsh/site-functions

install: all docs
	install -D -m 755 $(BIN) '$(BINDIR)/vmm'
	set -e; for tool in $(TOOLS); do \
		install -D -m 755 "$$tool" "$(LIBEXECDIR)/$${tool##*/}"; done
	set -e; for module in $(MODULES:$(OUT)/libexec/vmm/%=%); do \
		install -D -m 644 "$(OUT)/libexec/vmm/$$module" "$(LIBEXECDIR)/$$module"; done
	install -D -m 644 $(MANPAGE) '$(MANDIR)/vmm.1'
	install -D -m 644 $(BASH_COMPLETION) '$(BASHDIR)/vmm'
	install -D -m 644 $(ZSH_COMPLETION) '$(ZSHDIR)/_vmm'
	install -D -m 644 -t '$(DOCDIR)' LICENSE $(wildcard README.md)

uninstall:
	rm -f '$(BINDIR)/vmm' '$(MANDIR)/vmm.1' '$(BASHDIR)/vmm' '$(ZSHDIR)/_vmm'
	rm -f $(patsubst %,'$(LIBEXECDIR)/%',$(notdir $(TOOLS)))
	rm -f $(MODULES:$(OUT)/libexec/vmm/%='$(LIBEXECDIR)/%')
	-rmdir $(patsubst %,'$(LIBEXECDIR)/%',$(sort $(dir $(MODULES:$(OUT)/libexec/vmm/%=%)))) 2>/dev/null
	rm -f '$(DOCDIR)/LICENSE' '$(DOCDIR)/README.md'
	-rmdir '$(LIBEXECDIR)' '$(DOCDIR)' 2>/dev/null

clean:
	rm -rf '$(BUILD)'

help:
	@scripts/make-help
