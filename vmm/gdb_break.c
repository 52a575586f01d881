/*
 * See gdb_break.h.
 */
#include "vmm/gdb_break.h"

#include <errno.h>
#include <string.h>

#define LINUX_KERNEL_MAP UINT64_C(0xffffffff80000000)

enum {
	INT3 = 0xcc
};

/* ---- Memory ---- */

static void *find_memory(const struct gdb_target *target, gpa_t gpa, size_t len)
{
	void *host = gmem_ptr(target->mem, gpa, len);

	return host ? host : target->ops->device_memory(target->opaque, gpa, len);
}

static bool is_in(gpa_t at, gpa_t gpa, size_t len)
{
	return at >= gpa && at - gpa < len;
}

int gdb_breaks_read(const struct gdb_breaks *breaks, const struct gdb_target *target, gpa_t gpa,
	void *buf, size_t len)
{
	const void *host = find_memory(target, gpa, len);

	if (!host)
		return -EFAULT;
	memcpy(buf, host, len);
	for (unsigned i = 0; i < breaks->soft_count; i++) {
		const struct gdb_soft_break *soft = &breaks->soft[i];
		uint8_t *bytes = buf;

		/* What the guest has put in the place of ours is to be seen. */
		if (is_in(soft->gpa, gpa, len) && bytes[soft->gpa - gpa] == INT3)
			bytes[soft->gpa - gpa] = soft->saved;
	}
	return 0;
}

int gdb_breaks_write(struct gdb_breaks *breaks, const struct gdb_target *target, gpa_t gpa,
	const void *buf, size_t len)
{
	uint8_t *host = find_memory(target, gpa, len);

	if (!host)
		return -EFAULT;
	memcpy(host, buf, len);
	for (unsigned i = 0; i < breaks->soft_count; i++) {
		struct gdb_soft_break *soft = &breaks->soft[i];

		if (!is_in(soft->gpa, gpa, len))
			continue;
		soft->saved = ((const uint8_t *)buf)[soft->gpa - gpa];
		host[soft->gpa - gpa] = INT3;
	}
	return 0;
}

bool gdb_translate(const struct gdb_target *target, const struct page_walk_regs *walk,
	uint64_t address, gpa_t *gpa)
{
	struct page_walk result;

	page_walk(&result, target->mem, walk, address);
	*gpa = result.gpa;
	if (result.result == PAGE_WALK_MAPPED)
		return true;
	*gpa = address - LINUX_KERNEL_MAP;
	return address >= LINUX_KERNEL_MAP && walk->cr3 &&
		walk->cr3 == target->ops->linux_cr3(target->opaque);
}

/* ---- INT3 ---- */

/* -EAGAIN: it has to be a debug register. */
static int plant(struct gdb_breaks *breaks, const struct gdb_target *target,
	const struct page_walk_regs *walk, uint64_t address)
{
	struct gdb_soft_break *soft = &breaks->soft[breaks->soft_count];
	const uint8_t int3 = INT3;
	gpa_t gpa;

	if (!target->has_int3 || breaks->soft_count == GDB_SOFT_MAX ||
		!gdb_translate(target, walk, address, &gpa) ||
		gdb_breaks_read(breaks, target, gpa, &soft->saved, 1) < 0 ||
		gmem_write(target->mem, gpa, &int3, 1) < 0)
		return -EAGAIN;
	soft->address = address;
	soft->gpa = gpa;
	breaks->soft_count++;
	breaks->generation++;
	return 0;
}

/* Puts back what was there, unless another of ours is there too or the guest has written since. */
static void unplant(struct gdb_breaks *breaks, const struct gdb_target *target, unsigned nth)
{
	struct gdb_soft_break soft = breaks->soft[nth];
	uint8_t now;

	breaks->soft[nth] = breaks->soft[--breaks->soft_count];
	breaks->generation++;
	for (unsigned i = 0; i < breaks->soft_count; i++)
		if (breaks->soft[i].gpa == soft.gpa)
			return;
	if (gmem_read(target->mem, soft.gpa, &now, 1) == 0 && now == INT3)
		gmem_write(target->mem, soft.gpa, &soft.saved, 1);
}

bool gdb_breaks_has(const struct gdb_breaks *breaks, const struct gdb_target *target,
	const struct page_walk_regs *walk, uint64_t linear)
{
	gpa_t gpa;

	for (unsigned i = 0; i < breaks->soft_count; i++)
		if (breaks->soft[i].address == linear)
			return true;
	/* The same code at another address: kernels map themselves more than once. */
	if (!gdb_translate(target, walk, linear, &gpa))
		return false;
	for (unsigned i = 0; i < breaks->soft_count; i++)
		if (breaks->soft[i].gpa == gpa)
			return true;
	return false;
}

/* ---- Debug registers ---- */

static enum vcpu_trap_kind trap_kind(enum gdb_break_kind kind)
{
	if (kind == GDB_BREAK_SOFT || kind == GDB_BREAK_HARD)
		return VCPU_TRAP_EXECUTE;
	return kind == GDB_WATCH_WRITE ? VCPU_TRAP_WRITE : VCPU_TRAP_ACCESS;
}

/* The largest aligned piece that begins at `address` and has at most `len` bytes. */
static uint8_t piece_len(uint64_t address, uint64_t len)
{
	uint8_t piece = 8;

	while (piece > len || address % piece)
		piece /= 2;
	return piece;
}

static int take_registers(struct gdb_breaks *breaks, const struct gdb_target *target,
	enum gdb_break_kind kind, uint64_t address, uint64_t len)
{
	unsigned count = breaks->trap_count;
	uint64_t at = address, left = len;

	if (trap_kind(kind) == VCPU_TRAP_EXECUTE)
		left = 1;
	if (!left || address + left < address)
		return -EINVAL;
	while (left) {
		uint8_t piece = piece_len(at, left);

		if (count == MIN(target->trap_max, (unsigned)GDB_TRAPS_MAX))
			return -ENOSPC;
		breaks->traps[count++] = (struct gdb_trap){
			.trap = {.address = at, .len = piece, .kind = trap_kind(kind)},
			.kind = kind,
			.address = address,
			.len = len};
		at += piece;
		left -= piece;
	}
	breaks->trap_count = count;
	breaks->generation++;
	return 0;
}

static bool is_request(
	const struct gdb_trap *trap, enum gdb_break_kind kind, uint64_t address, uint64_t len)
{
	return trap->kind == kind && trap->address == address &&
		(trap->len == len || trap->trap.kind == VCPU_TRAP_EXECUTE);
}

const struct gdb_trap *gdb_breaks_find_trap(
	const struct gdb_breaks *breaks, const struct vcpu_trap *trap)
{
	for (unsigned i = 0; i < breaks->trap_count; i++) {
		const struct vcpu_trap *ours = &breaks->traps[i].trap;

		if (ours->address == trap->address && ours->len == trap->len &&
			ours->kind == trap->kind)
			return &breaks->traps[i];
	}
	return NULL;
}

/* ---- All kinds ---- */

static bool is_set(
	const struct gdb_breaks *breaks, enum gdb_break_kind kind, uint64_t address, uint64_t len)
{
	for (unsigned i = 0; kind == GDB_BREAK_SOFT && i < breaks->soft_count; i++)
		if (breaks->soft[i].address == address)
			return true;
	for (unsigned i = 0; i < breaks->trap_count; i++)
		if (is_request(&breaks->traps[i], kind, address, len))
			return true;
	return false;
}

int gdb_break_set(struct gdb_breaks *breaks, const struct gdb_target *target,
	const struct page_walk_regs *walk, enum gdb_break_kind kind, uint64_t address, uint64_t len)
{
	if (is_set(breaks, kind, address, len))
		return 0;
	if (kind == GDB_BREAK_SOFT && plant(breaks, target, walk, address) == 0)
		return 0;
	return take_registers(breaks, target, kind, address, len);
}

void gdb_break_remove(struct gdb_breaks *breaks, const struct gdb_target *target,
	enum gdb_break_kind kind, uint64_t address, uint64_t len)
{
	unsigned kept = 0;

	for (unsigned i = breaks->soft_count; kind == GDB_BREAK_SOFT && i-- > 0;)
		if (breaks->soft[i].address == address)
			unplant(breaks, target, i);
	for (unsigned i = 0; i < breaks->trap_count; i++)
		if (!is_request(&breaks->traps[i], kind, address, len))
			breaks->traps[kept++] = breaks->traps[i];
	breaks->trap_count = kept;
	breaks->generation++;
}

void gdb_breaks_clear(struct gdb_breaks *breaks, const struct gdb_target *target)
{
	while (breaks->soft_count)
		unplant(breaks, target, breaks->soft_count - 1);
	breaks->trap_count = 0;
	breaks->generation++;
}

void gdb_breaks_forget(struct gdb_breaks *breaks)
{
	breaks->soft_count = breaks->trap_count = 0;
	breaks->generation++;
}
