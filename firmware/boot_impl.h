/*
 * What boot.c and boot_own.c share: what was opened, and where it goes. For these two files.
 */
#pragma once

#include "firmware/boot.h"
#include "firmware/bzimage.h"
#include "firmware/e820.h"
#include "firmware/elf.h"
#include "firmware/entry.h"
#include "firmware/image.h"
#include "firmware/kernel_cache.h"
#include "firmware/multiboot.h"
#include "firmware/source.h"
#include "firmware/unpack.h"

/* A further file of --initrd, which only a Multiboot kernel takes. */
struct boot_module {
	char *words; /* owned: the file's name and what may follow it */
	int fd;	     /* owned, or -1 */
	struct source source;
};

struct boot {
	char *kernel_path, *initrd_path; /* owned; NULL where there is none */
	int kernel_fd, initrd_fd;	 /* owned, or -1 */
	struct source kernel, initrd;
	enum image_kind kind;
	enum unpack_format packing; /* of an IMAGE_PACKED_ELF */
	bool unpack_here;	    /* a bzImage's payload */
	const char *kernel_way;	    /* how it last came into memory */
	struct kernel_cache *cache; /* of what is unpacked here, or NULL */
	struct bzimage bzimage;	    /* IMAGE_BZIMAGE */
	struct elf_image elf;	    /* IMAGE_ELF; of packed kernels, since the last load */
	struct boot_flat flat;	    /* IMAGE_FLAT */
	struct multiboot multiboot; /* IMAGE_MULTIBOOT, IMAGE_PACKED_MULTIBOOT */
	uint8_t *unpacked;	    /* owned: the whole of the latter; `kernel` reads it */
	struct source_bytes unpacked_bytes;
	struct boot_module modules[BOOT_MODULES_MAX];
	unsigned module_count;
};

/* Where things go: decided before anything is written. */
struct plan {
	uint64_t kernel_start, kernel_end;
	uint64_t low_ram_end;
	struct entry_params params;
};

/* The kernel's memory, and a sentence that says how much RAM would do. */
int boot_check_fits(
	const struct boot *boot, struct plan *plan, uint64_t start, uint64_t end, struct err *err);

/* As high as allowed (`highest` is the last byte), above the kernel; else below it. */
int boot_place_initrd(
	const struct boot *boot, struct plan *plan, uint64_t highest, struct err *err);

int boot_load_initrd(
	const struct boot *boot, struct gmem *mem, const struct plan *plan, struct err *err);

int boot_file_changed(const char *what, const char *path, struct err *err);

/* Part of the kernel's file to where it belongs; a sentence when it can't be read any more. */
int boot_read_kernel(const struct boot *boot, struct gmem *mem, gpa_t gpa, uint64_t offset,
	uint64_t bytes, struct err *err);

/* ---- boot_own.c: kernels that are not Linux ---- */

/* True for kinds that boot_own_load() loads. */
bool boot_own_is(enum image_kind kind);
bool boot_own_is_multiboot(enum image_kind kind);

/* The kinds of multiboot.h: reads and checks the file, after unpacking it if need be. */
int boot_own_open_multiboot(struct boot *boot, struct err *err);

/* The files of --initrd. */
int boot_own_open_modules(struct boot *boot, const struct boot_config *config, struct err *err);
void boot_own_close(struct boot *boot);

int boot_own_load(struct boot *boot, struct gmem *mem, const struct boot_machine *machine,
	struct plan *plan, struct cpu_entry *entry, struct err *err);

/* The device tree that a kernel which is not Linux finds in RDI. */
int boot_own_write_tree(struct gmem *mem, const struct boot_machine *machine,
	const struct plan *plan, gpa_t *tree, struct err *err);

void boot_own_describe(const struct boot *boot, char *buf, size_t size);
