/*
 * Kernels kept as they lie in guest memory once unpacked, so that the next start of the same file
 * unpacks nothing. In $XDG_CACHE_HOME/vmm/kernels, else ~/.cache/vmm/kernels.
 *
 * An entry belongs to a file's identity (device, inode, size, times of its content and of its
 * inode) and to bytes of its begin and end: so a file that was changed or replaced has none. A
 * strong hash of the whole file would cost more than to unpack it (SHA-256 of 14 MiB 43 ms, LZ4
 * 22 ms, the cache 6 ms; a plain sum 3 ms). What changes a file and leaves its times: a file system
 * without a clock of its own (there no entry is made), and a program that for seconds writes
 * through a mapping to a file that lies in memory (tmpfs) or under an overlay.
 *
 * What an entry holds is checked by a sum each time it is copied into memory: one that is cut,
 * damaged or of another version counts as none and is replaced.
 *
 * Entries appear whole, by rename, and are never changed: any number of machines may start at
 * once. A folder or entry that others than this user could write to is not used. Nothing here is
 * ever the reason why a machine does not start: without a folder, room or permission the kernel is
 * unpacked as if there were no cache. A user's own programs are trusted, as with the kernel itself.
 *
 * One thread at a time.
 */
#pragma once

#include "firmware/packed_kernel.h"
#include "vmm/core/gmem.h"

struct kernel_cache;

/*
 * Looks for the kernel in the open file `kernel_fd`, whose packed data is at `offset`; the file
 * stays open until the cache is closed. Never NULL
 * unless memory is short or there is no folder for it: then the other functions do nothing.
 */
struct kernel_cache *kernel_cache_open(int kernel_fd, uint64_t offset);
void kernel_cache_close(struct kernel_cache *cache);

/* There is an entry, though whether it is whole shows when it is loaded. */
bool kernel_cache_has(const struct kernel_cache *cache);

enum {
	KERNEL_CACHE_MISS = 2
};

/*
 * As packed_kernel_load(), from the entry, into memory that is zero. KERNEL_CACHE_MISS when there
 * is none or it is damaged: memory is zero again then.
 */
int kernel_cache_load(struct kernel_cache *cache, const struct packed_kernel *packed,
	struct gmem *mem, struct elf_image *image, struct err *err);

/*
 * Makes the entry from what packed_kernel_load() just put into memory, before anything else was
 * put there. Quietly does nothing where it can't. Removes the oldest entries when there are too
 * many. `read_s` is time() before unpacking began: of a file that was changed a moment before no
 * entry is made, for what was written to it then may have left no trace in its times.
 */
void kernel_cache_store(struct kernel_cache *cache, const struct gmem *mem,
	const struct elf_image *image, int64_t read_s);
