/*
 * See fake_debugged.h.
 */
#include "tests/fake/fake_debugged.h"

#include <asm/processor-flags.h>
#include <errno.h>

#include "vmm/base/util.h"

#define EFER_LONG (UINT64_C(1) << 8 | UINT64_C(1) << 10)
#define ENTRY	  UINT64_C(0x3) /* present, writable */
#define LARGE	  UINT64_C(0x80)

static unsigned cpu_count(void *opaque)
{
	return ((struct fake_debugged *)opaque)->cpu_count;
}

static void stop(void *opaque)
{
	((struct fake_debugged *)opaque)->runs = false;
}

static void run(void *opaque, const bool *runs)
{
	struct fake_debugged *fake = opaque;

	ASSERT(!fake->runs);
	fake->runs = true;
	memcpy(fake->runs_cpu, runs, sizeof(fake->runs_cpu));
}

static int get_regs(void *opaque, unsigned cpu, struct cpu_regs *regs)
{
	struct fake_debugged *fake = opaque;

	ASSERT(!fake->runs && cpu < fake->cpu_count);
	*regs = fake->regs[cpu];
	return 0;
}

static int set_regs(
	void *opaque, unsigned cpu, const struct cpu_regs *old, const struct cpu_regs *regs)
{
	struct fake_debugged *fake = opaque;

	ASSERT(!fake->runs && cpu < fake->cpu_count);
	ASSERT(old->rip == fake->regs[cpu].rip && old->cr3 == fake->regs[cpu].cr3);
	if (!fake->set_regs_result)
		fake->regs[cpu] = *regs;
	return fake->set_regs_result;
}

static int set_debug(void *opaque, unsigned cpu, const struct vcpu_debug *debug)
{
	struct fake_debugged *fake = opaque;

	ASSERT(!fake->runs && cpu < fake->cpu_count && debug->trap_count <= VCPU_TRAPS_MAX);
	fake->debug[cpu] = *debug;
	return 0;
}

static struct vcpu_stop take_stop(void *opaque, unsigned cpu)
{
	struct fake_debugged *fake = opaque;
	struct vcpu_stop result = fake->stops[cpu];

	ASSERT(!fake->runs);
	fake->stops[cpu].kind = VCPU_STOP_NONE;
	return result;
}

static uint64_t linux_cr3(void *opaque)
{
	return ((struct fake_debugged *)opaque)->linux_cr3;
}

static void *device_memory(void *opaque, gpa_t gpa, uint64_t len)
{
	struct fake_debugged *fake = opaque;

	if (gpa < FAKE_DEVICE || !util_range_inside(gpa - FAKE_DEVICE, len, FAKE_DEVICE_BYTES))
		return NULL;
	return fake->device + (gpa - FAKE_DEVICE);
}

static void explain(void *opaque, unsigned cpu, FILE *out)
{
	(void)opaque;
	for (int i = 0; i < 2000; i++)
		fprintf(out, "CPU %u stands\n", cpu);
}

static const struct exit_ring *exits(void *opaque, unsigned cpu)
{
	(void)cpu;
	return &((struct fake_debugged *)opaque)->exits;
}

static void reset(void *opaque)
{
	((struct fake_debugged *)opaque)->resets++;
}

static void kill_machine(void *opaque)
{
	((struct fake_debugged *)opaque)->kills++;
}

static const struct gdb_target_ops ops = {
	.cpu_count = cpu_count,
	.stop = stop,
	.run = run,
	.get_regs = get_regs,
	.set_regs = set_regs,
	.set_debug = set_debug,
	.take_stop = take_stop,
	.linux_cr3 = linux_cr3,
	.device_memory = device_memory,
	.explain = explain,
	.exits = exits,
	.reset = reset,
	.kill = kill_machine,
};

static void put64(struct fake_debugged *fake, gpa_t at, uint64_t value)
{
	ASSERT(gmem_write(&fake->mem, at, &value, sizeof(value)) == 0);
}

static void make_tables(struct fake_debugged *fake)
{
	put64(fake, FAKE_CR3, 0x2000 | ENTRY);
	put64(fake, FAKE_CR3 + 256 * 8, 0x2000 | ENTRY);
	put64(fake, 0x2000, 0x3000 | ENTRY);
	put64(fake, 0x3000, 0 | ENTRY | LARGE);
}

void fake_debugged_init(struct fake_debugged *fake, unsigned count)
{
	const struct gmem_config config = {
		.size = FAKE_RAM_BYTES, .hole_start = 3 * GIB, .high_base = 4 * GIB};
	const struct cpu_regs long_mode = {
		.rip = 0x10000,
		.rflags = X86_EFLAGS_FIXED,
		.cr0 = X86_CR0_PE | X86_CR0_PG,
		.cr3 = FAKE_CR3,
		.cr4 = X86_CR4_PAE,
		.efer = EFER_LONG,
		.segments[CPU_CS] = {.selector = 0x10,
			.access = CPU_ACCESS_PRESENT | CPU_ACCESS_LONG | CPU_ACCESS_CODE},
	};

	memset(fake, 0, sizeof(*fake));
	ASSERT(count <= FAKE_CPUS_MAX && gmem_init(&fake->mem, &config, NULL) == 0);
	make_tables(fake);
	fake->cpu_count = count;
	for (unsigned i = 0; i < count; i++)
		fake->regs[i] = long_mode;
	fake->runs = true;
	fake->target = (struct gdb_target){
		.ops = &ops, .opaque = fake, .mem = &fake->mem, .has_int3 = true, .trap_max = 4};
}

void fake_debugged_finish(struct fake_debugged *fake)
{
	gmem_finish(&fake->mem);
}

void fake_debugged_real_mode(struct fake_debugged *fake, unsigned cpu)
{
	memset(&fake->regs[cpu], 0, sizeof(fake->regs[cpu]));
	fake->regs[cpu].rip = 0xfff0;
	fake->regs[cpu].segments[CPU_CS] = (struct cpu_segment){
		.selector = 0xf000, .base = 0xffff0000, .access = CPU_ACCESS_PRESENT};
}
