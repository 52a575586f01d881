/*
 * See cpuid.h. Knows nothing of KVM's structures. No state.
 *
 * Each leaf that says something about the machine is rewritten; all others
 * are passed on as KVM offers them.
 */
#include "vmm/kvm/cpuid.h"

#include <asm/kvm_para.h>
#include <errno.h>

#include "vmm/base/util.h"

#define BIT(n) (UINT32_C(1) << (n))

/* Leaf 1. */
#define ECX1_VMX	  BIT(5)
#define ECX1_X2APIC	  BIT(21)
#define ECX1_TSC_DEADLINE BIT(24)
#define ECX1_OSXSAVE	  BIT(27) /* mirrors CR4: KVM keeps it up to date itself */
#define ECX1_HYPERVISOR	  BIT(31)
#define EDX1_HTT	  BIT(28)
/* Leaf 0x80000001. */
#define ECX81_CMP_LEGACY BIT(1)
#define ECX81_SVM	 BIT(2)
#define ECX81_TOPOEXT	 BIT(22)

#define HYPERVISOR_RATES UINT32_C(0x40000010)
#define APIC_BUS_KHZ	 UINT32_C(1000000) /* of KVM's local APIC: a tick is a nanosecond */

/* Kinds of topology levels in leaves 0xB and 0x1F. */
#define LEVEL_INVALID 0
#define LEVEL_SMT     1
#define LEVEL_CORE    2

struct cpuid_leaf *cpuid_find(struct cpuid_table *table, uint32_t function, uint32_t index)
{
	for (unsigned i = 0; i < table->count; i++) {
		struct cpuid_leaf *leaf = &table->leaves[i];

		if (leaf->function == function && (!leaf->has_index || leaf->index == index))
			return leaf;
	}
	return NULL;
}

static void drop(struct cpuid_table *table, uint32_t function)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < table->count; i++)
		if (table->leaves[i].function != function)
			table->leaves[kept++] = table->leaves[i];
	table->count = kept;
}

static int add(struct cpuid_table *table, const struct cpuid_leaf *leaf)
{
	if (table->count == CPUID_LEAVES_MAX)
		return -ENOSPC;
	table->leaves[table->count++] = *leaf;
	return 0;
}

/* How many bits of an APIC id tell the cores of the socket apart. */
static unsigned core_bits(const struct cpuid_config *config)
{
	unsigned bits = 0;

	while (1u << bits < config->cpu_count)
		bits++;
	return bits;
}

static bool is_amd(struct cpuid_table *table)
{
	const struct cpuid_leaf *vendor = cpuid_find(table, 0, 0);
	uint32_t auth = load_le32("Auth"), hygon = load_le32("Hygo");

	return vendor && (vendor->ebx == auth || vendor->ebx == hygon);
}

static bool is_intel(struct cpuid_table *table)
{
	const struct cpuid_leaf *vendor = cpuid_find(table, 0, 0);

	return vendor && vendor->ebx == load_le32("Genu");
}

static void adapt_features(struct cpuid_table *table, const struct cpuid_config *config)
{
	struct cpuid_leaf *leaf = cpuid_find(table, 1, 0);
	struct cpuid_leaf *extended = cpuid_find(table, 0x80000001, 0);

	if (leaf) {
		leaf->ebx = (leaf->ebx & 0xffff) | config->cpu_count << 16 | config->id << 24;
		leaf->ecx &= ~(ECX1_VMX | ECX1_OSXSAVE);
		/* KVM's local APIC always has it, KVM's table does not always say so. */
		leaf->ecx |= ECX1_HYPERVISOR | ECX1_X2APIC;
		if (config->tsc_deadline)
			leaf->ecx |= ECX1_TSC_DEADLINE;
		leaf->edx &= ~EDX1_HTT;
		if (config->cpu_count > 1)
			leaf->edx |= EDX1_HTT;
	}
	if (extended) {
		extended->ecx &= ~(ECX81_SVM | ECX81_CMP_LEGACY);
		if (is_amd(table) && config->cpu_count > 1)
			extended->ecx |= ECX81_CMP_LEGACY;
	}
	drop(table, 0x8000000a); /* details of SVM */
}

/*
 * Leaves 4 (Intel) and 0x8000001D (AMD): which processors share a cache. The
 * first two levels belong to a core, the third to all.
 */
static void adapt_caches(
	struct cpuid_table *table, const struct cpuid_config *config, uint32_t function)
{
	uint32_t ids = BIT(core_bits(config));

	for (unsigned i = 0; i < table->count; i++) {
		struct cpuid_leaf *leaf = &table->leaves[i];
		uint32_t level = leaf->eax >> 5 & 7;
		uint32_t sharing = level >= 3 ? ids : 1;

		if (leaf->function != function || !(leaf->eax & 0x1f))
			continue;
		leaf->eax &= 0x3fff;
		leaf->eax |= (sharing - 1) << 14;
		/* Intel: cores in the socket, a field of 6 bits; larger sockets use leaf 0xB. */
		if (function == 4)
			leaf->eax |= MIN(ids - 1, UINT32_C(63)) << 26;
	}
}

static int add_topology(
	struct cpuid_table *table, const struct cpuid_config *config, uint32_t function)
{
	const struct cpuid_leaf levels[] = {
		{function, 0, true, 0, 1, 0 | LEVEL_SMT << 8, config->id},
		{function, 1, true, core_bits(config), config->cpu_count, 1 | LEVEL_CORE << 8,
			config->id},
		{function, 2, true, 0, 0, 2 | LEVEL_INVALID << 8, config->id},
	};

	drop(table, function);
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		int ret = add(table, &levels[i]);

		if (ret < 0)
			return ret;
	}
	return 0;
}

static int adapt_topology(struct cpuid_table *table, const struct cpuid_config *config)
{
	struct cpuid_leaf *basic = cpuid_find(table, 0, 0);
	int ret;

	if (!basic)
		return 0;
	/* Leaves between an old processor's last one and 0xB read as zero: "not there". */
	basic->eax = MAX(basic->eax, UINT32_C(0xb));
	ret = add_topology(table, config, 0xb);
	if (ret == 0 && basic->eax >= 0x1f)
		ret = add_topology(table, config, 0x1f);
	return ret;
}

static int adapt_amd_topology(struct cpuid_table *table, const struct cpuid_config *config)
{
	struct cpuid_leaf *sizes = cpuid_find(table, 0x80000008, 0);
	const struct cpuid_leaf *extended = cpuid_find(table, 0x80000001, 0);
	/* Extended APIC id; core id, one thread; node 0 of one. */
	struct cpuid_leaf ids = {
		.function = 0x8000001e, .eax = config->id, .ebx = config->id, .ecx = 0};

	/* Zen 4's finer description of a socket that is not the guest's. */
	drop(table, 0x80000026);
	if (sizes)
		sizes->ecx = (sizes->ecx & ~UINT32_C(0xf0ff)) | core_bits(config) << 12 |
			(config->cpu_count - 1);
	if (!extended || !(extended->ecx & ECX81_TOPOEXT))
		return 0;
	adapt_caches(table, config, 0x8000001d);
	drop(table, ids.function);
	return add(table, &ids);
}

/* The leaf, made if it is missing; NULL when the table is full. */
static struct cpuid_leaf *find_or_add(struct cpuid_table *table, uint32_t function)
{
	struct cpuid_leaf *leaf = cpuid_find(table, function, 0);

	if (leaf)
		return leaf;
	if (add(table, &(struct cpuid_leaf){.function = function}) < 0)
		return NULL;
	return &table->leaves[table->count - 1];
}

/*
 * Leaves 0x15 and 0x16: the rate of the TSC. Linux takes the "crystal" of leaf
 * 0x15 for the rate of the local APIC's timer as well, unless that timer works by TSC
 * deadline: so without the deadline timer nothing is said, and Linux measures.
 */
static int adapt_clocks(struct cpuid_table *table, const struct cpuid_config *config)
{
	const struct cpuid_leaf *basic = cpuid_find(table, 0, 0);
	struct cpuid_leaf *ratio, *rates;
	uint64_t hz = (uint64_t)config->tsc_khz * 1000;
	uint32_t times = 1;

	if (!basic || basic->eax < 0x16 || !hz || !config->tsc_deadline)
		return 0;
	/* TSC rate = crystal * EBX / EAX, and the crystal's field has 32 bits. */
	while (hz / times > UINT32_MAX)
		times *= 2;
	ratio = find_or_add(table, 0x15);
	if (!ratio)
		return -ENOSPC;
	ratio->eax = 1;
	ratio->ebx = times;
	ratio->ecx = (uint32_t)(hz / times);
	ratio->edx = 0;
	rates = find_or_add(table, 0x16);
	if (!rates)
		return -ENOSPC;
	rates->eax = rates->ebx = (config->tsc_khz + 500) / 1000;
	rates->ecx = 100;
	rates->edx = 0;
	return 0;
}

/* KVM's own leaves: signature and the paravirtual features, as KVM offers them. */
static int adapt_hypervisor(struct cpuid_table *table)
{
	struct cpuid_leaf *signature = find_or_add(table, KVM_CPUID_SIGNATURE);

	if (!signature)
		return -ENOSPC;
	/* Old kernels leave the highest leaf at 0. */
	signature->eax = MAX(signature->eax, (uint32_t)KVM_CPUID_FEATURES);
	signature->ebx = load_le32("KVMK");
	signature->ecx = load_le32("VMKV");
	signature->edx = load_le32("M\0\0");
	return find_or_add(table, KVM_CPUID_FEATURES) ? 0 : -ENOSPC;
}

/* Hypervisors' leaf for the rates of the TSC and of the local APIC's timer, in kHz. */
static int tell_rates(struct cpuid_table *table, const struct cpuid_config *config)
{
	struct cpuid_leaf *signature = cpuid_find(table, KVM_CPUID_SIGNATURE, 0);
	struct cpuid_leaf *rates;

	if (!config->tell_rates || !config->tsc_khz || !signature)
		return 0;
	signature->eax = MAX(signature->eax, HYPERVISOR_RATES);
	rates = find_or_add(table, HYPERVISOR_RATES);
	if (!rates)
		return -ENOSPC;
	rates->eax = config->tsc_khz;
	rates->ebx = APIC_BUS_KHZ;
	return 0;
}

static int adapt_brand(struct cpuid_table *table, const struct cpuid_config *config)
{
	const struct cpuid_leaf *known = cpuid_find(table, 0x80000002, 0);

	if (!config->brand[0] || (known && known->eax))
		return 0;
	for (uint32_t i = 0; i < 3; i++) {
		struct cpuid_leaf *leaf = find_or_add(table, 0x80000002 + i);
		const char *part = config->brand + i * 16;

		if (!leaf)
			return -ENOSPC;
		leaf->eax = load_le32(part);
		leaf->ebx = load_le32(part + 4);
		leaf->ecx = load_le32(part + 8);
		leaf->edx = load_le32(part + 12);
	}
	return 0;
}

int cpuid_adapt(struct cpuid_table *table, const struct cpuid_config *config)
{
	int ret;

	ASSERT(config->id < config->cpu_count && config->cpu_count <= 255);
	adapt_features(table, config);
	ret = adapt_topology(table, config);
	if (ret == 0 && is_intel(table)) {
		adapt_caches(table, config, 4);
		ret = adapt_clocks(table, config);
	}
	if (ret == 0 && is_amd(table))
		ret = adapt_amd_topology(table, config);
	if (ret == 0)
		ret = adapt_hypervisor(table);
	if (ret == 0)
		ret = tell_rates(table, config);
	if (ret == 0)
		ret = adapt_brand(table, config);
	return ret;
}
