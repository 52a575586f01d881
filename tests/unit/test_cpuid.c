/*
 * cpuid: what the guest is told of its processor, for AMD and Intel, from 1 to 255 processors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "vmm/base/util.h"
#include "vmm/kvm/cpuid.h"

/* A little of what KVM offers on the two makes. Cache leaves: L1d, L1i, L2, L3. */
static const struct cpuid_leaf amd[] = {
	{0, 0, false, 0x10, 0x68747541, 0x444d4163, 0x69746e65},
	{1, 0, false, 0x00a10f11, 0x00020800, 0x00202020, 0x078bfbff},
	{7, 0, true, 1, 0x01800002, 0x104, 0x20000000},
	{0xb, 0, true, 0, 0, 0, 0},
	{0x80000000, 0, false, 0x80000021, 0x68747541, 0x444d4163, 0x69746e65},
	{0x80000001, 0, false, 0x00a10f11, 0x40000000, 0x00400397, 0x23d3fbff},
	{0x80000007, 0, false, 0, 0, 0, 0x100},
	{0x80000008, 0, false, 0x3030, 0x50020005, 0x7001, 0},
	{0x8000000a, 0, false, 1, 8, 0, 0x10010021},
	{0x8000001d, 0, true, 0x00014121, 0x01c0003f, 0x3f, 0},
	{0x8000001d, 1, true, 0x00014122, 0x01c0003f, 0x3f, 0},
	{0x8000001d, 2, true, 0x00014143, 0x01c0003f, 0x7ff, 2},
	{0x8000001d, 3, true, 0x00014163, 0x03c0003f, 0x7fff, 1},
	{0x8000001d, 4, true, 0, 0, 0, 0},
	{0x40000000, 0, false, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d},
	{0x40000001, 0, false, 0x01007efb, 0, 0, 0},
};

static const struct cpuid_leaf intel[] = {
	{0, 0, false, 0x1f, 0x756e6547, 0x6c65746e, 0x49656e69},
	{1, 0, false, 0x000906ed, 0x00100800, 0x00202020, 0x0f8bfbff},
	{4, 0, true, 0x1c004121, 0x01c0003f, 0x3f, 0},
	{4, 1, true, 0x1c004122, 0x01c0003f, 0x3f, 0},
	{4, 2, true, 0x1c004143, 0x00c0003f, 0x3ff, 0},
	{4, 3, true, 0x1c03c163, 0x03c0003f, 0x3fff, 6},
	{4, 4, true, 0, 0, 0, 0},
	{0x15, 0, false, 2, 216, 24000000, 0},
	{0x80000000, 0, false, 0x80000008, 0, 0, 0},
	{0x80000001, 0, false, 0, 0, 0x121, 0x2c100800},
	{0x80000008, 0, false, 0x3027, 0, 0, 0},
};

static void load(struct cpuid_table *table, const struct cpuid_leaf *leaves, size_t count)
{
	memcpy(table->leaves, leaves, count * sizeof(leaves[0]));
	table->count = (unsigned)count;
}

#define LOAD(table, leaves) load(table, leaves, ARRAY_SIZE(leaves))

static struct cpuid_config config_of(unsigned id, unsigned count)
{
	return (struct cpuid_config){
		.id = id, .cpu_count = count, .tsc_khz = 2600000, .tsc_deadline = true};
}

static const struct cpuid_leaf *get(struct cpuid_table *table, uint32_t function, uint32_t index)
{
	const struct cpuid_leaf *leaf = cpuid_find(table, function, index);

	assert_non_null(leaf);
	return leaf;
}

static void test_features_of_a_guest(void **state)
{
	const struct cpuid_config config = config_of(0, 1);
	struct cpuid_table table;

	(void)state;
	LOAD(&table, intel);
	assert_int_equal(cpuid_adapt(&table, &config), 0);
	assert_true(get(&table, 1, 0)->ecx & 1u << 31);	 /* hypervisor */
	assert_true(get(&table, 1, 0)->ecx & 1u << 21);	 /* x2APIC */
	assert_true(get(&table, 1, 0)->ecx & 1u << 24);	 /* TSC deadline */
	assert_false(get(&table, 1, 0)->ecx & 1u << 5);	 /* VMX */
	assert_false(get(&table, 1, 0)->edx & 1u << 28); /* several processors */
}

static void test_deadline_timer_only_where_kvm_has_it(void **state)
{
	struct cpuid_config config = config_of(0, 1);
	struct cpuid_table table;

	(void)state;
	config.tsc_deadline = false;
	LOAD(&table, amd);
	assert_int_equal(cpuid_adapt(&table, &config), 0);
	assert_false(get(&table, 1, 0)->ecx & 1u << 24);
}

static void test_nested_virtualization_is_hidden(void **state)
{
	const struct cpuid_config config = config_of(0, 2);
	struct cpuid_table table;

	(void)state;
	LOAD(&table, amd);
	assert_int_equal(cpuid_adapt(&table, &config), 0);
	assert_false(get(&table, 0x80000001, 0)->ecx & 1u << 2);
	assert_null(cpuid_find(&table, 0x8000000a, 0));
	LOAD(&table, intel);
	table.leaves[1].ecx |= 1u << 5;
	assert_int_equal(cpuid_adapt(&table, &config), 0);
	assert_false(get(&table, 1, 0)->ecx & 1u << 5);
}

static void test_invariant_tsc_and_the_rest_pass(void **state)
{
	const struct cpuid_config config = config_of(0, 1);
	struct cpuid_table table;

	(void)state;
	LOAD(&table, amd);
	assert_int_equal(cpuid_adapt(&table, &config), 0);
	assert_int_equal(get(&table, 0x80000007, 0)->edx, 0x100);
	assert_int_equal(get(&table, 7, 0)->edx, 0x20000000);
	assert_int_equal(get(&table, 0x80000008, 0)->eax, 0x3030);
	assert_int_equal(get(&table, 0x40000001, 0)->eax, 0x01007efb);
}

/* For every number of processors: the ids are whole, and every leaf says the same. */
static void test_topology_of_any_size(void **state)
{
	struct cpuid_table table;

	(void)state;
	for (unsigned count = 1; count <= 255; count++) {
		const struct cpuid_config config = config_of(count - 1, count);
		const struct cpuid_leaf *core;
		unsigned bits = 0;

		while (1u << bits < count)
			bits++;
		LOAD(&table, amd);
		assert_int_equal(cpuid_adapt(&table, &config), 0);
		assert_int_equal(get(&table, 1, 0)->ebx >> 24, count - 1);
		assert_int_equal(get(&table, 1, 0)->ebx >> 16 & 0xff, count);
		assert_int_equal(!!(get(&table, 1, 0)->edx & 1u << 28), count > 1);
		/* Leaf 0xB: one thread a core, then all cores. */
		assert_int_equal(get(&table, 0xb, 0)->eax, 0);
		assert_int_equal(get(&table, 0xb, 0)->ebx, 1);
		assert_int_equal(get(&table, 0xb, 0)->ecx, 1u << 8);
		core = get(&table, 0xb, 1);
		assert_int_equal(core->eax, bits);
		assert_int_equal(core->ebx, count);
		assert_int_equal(core->ecx, 2u << 8 | 1);
		assert_int_equal(core->edx, count - 1);
		assert_int_equal(get(&table, 0xb, 2)->ecx, 2);
		/* AMD's own: number of cores - 1, width of the id; id, one thread, one node. */
		assert_int_equal(get(&table, 0x80000008, 0)->ecx & 0xff, count - 1);
		assert_int_equal(get(&table, 0x80000008, 0)->ecx >> 12 & 0xf, bits);
		assert_int_equal(get(&table, 0x8000001e, 0)->eax, count - 1);
		assert_int_equal(get(&table, 0x8000001e, 0)->ebx, count - 1);
		assert_int_equal(get(&table, 0x8000001e, 0)->ecx, 0);
		assert_int_equal(!!(get(&table, 0x80000001, 0)->ecx & 2), count > 1);
	}
}

static void test_each_leaf_stands_once(void **state)
{
	const struct cpuid_config config = config_of(3, 8);
	struct cpuid_table table;

	(void)state;
	LOAD(&table, intel);
	assert_int_equal(cpuid_adapt(&table, &config), 0);
	for (unsigned i = 0; i < table.count; i++)
		for (unsigned k = 0; k < i; k++)
			assert_false(table.leaves[i].function == table.leaves[k].function &&
				table.leaves[i].index == table.leaves[k].index);
}

static void test_amd_caches(void **state)
{
	const struct cpuid_config config = config_of(0, 6);
	struct cpuid_table table;

	(void)state;
	LOAD(&table, amd);
	assert_int_equal(cpuid_adapt(&table, &config), 0);
	/* L1 and L2 belong to one thread, L3 to the ids of all, rounded up to 8. */
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(get(&table, 0x8000001d, i)->eax >> 14 & 0xfff, 0);
	assert_int_equal(get(&table, 0x8000001d, 3)->eax >> 14 & 0xfff, 7);
	/* Kind, level and size stay. */
	assert_int_equal(get(&table, 0x8000001d, 3)->eax & 0x1ff, 0x163);
	assert_int_equal(get(&table, 0x8000001d, 3)->ecx, 0x7fff);
	assert_int_equal(get(&table, 0x8000001d, 4)->eax, 0);
}

static void test_amd_without_topoext_has_no_such_leaves(void **state)
{
	const struct cpuid_config config = config_of(0, 2);
	struct cpuid_table table;

	(void)state;
	LOAD(&table, amd);
	table.leaves[5].ecx &= ~(1u << 22);
	assert_int_equal(cpuid_adapt(&table, &config), 0);
	assert_null(cpuid_find(&table, 0x8000001e, 0));
}

static void test_intel_caches_and_cores(void **state)
{
	const struct cpuid_config config = config_of(0, 4);
	struct cpuid_table table;

	(void)state;
	LOAD(&table, intel);
	assert_int_equal(cpuid_adapt(&table, &config), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(get(&table, 4, i)->eax >> 14 & 0xfff, 0);
	assert_int_equal(get(&table, 4, 3)->eax >> 14 & 0xfff, 3);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(get(&table, 4, i)->eax >> 26, 3);
	assert_int_equal(get(&table, 4, 4)->eax, 0);
	/* Intel processors whose last leaf is that high read 0x1F first. */
	assert_int_equal(get(&table, 0x1f, 1)->ebx, 4);
	assert_null(cpuid_find(&table, 0x8000001e, 0));
}

static void test_intel_core_field_is_not_overrun(void **state)
{
	const struct cpuid_config config = config_of(0, 255);
	struct cpuid_table table;

	(void)state;
	LOAD(&table, intel);
	assert_int_equal(cpuid_adapt(&table, &config), 0);
	assert_int_equal(get(&table, 4, 3)->eax >> 26, 63);
	assert_int_equal(get(&table, 4, 3)->eax >> 14 & 0xfff, 255);
}

static void test_tsc_rate_is_exact(void **state)
{
	static const uint32_t rates_khz[] = {1000000, 2596148, 4294967, 4294968, 5700000};
	struct cpuid_table table;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rates_khz); i++) {
		struct cpuid_config config = config_of(0, 1);
		const struct cpuid_leaf *leaf;

		config.tsc_khz = rates_khz[i];
		LOAD(&table, intel);
		assert_int_equal(cpuid_adapt(&table, &config), 0);
		leaf = get(&table, 0x15, 0);
		assert_int_equal(leaf->eax, 1);
		assert_int_equal((uint64_t)leaf->ecx * leaf->ebx, rates_khz[i] * UINT64_C(1000));
		/* Linux multiplies in 32 bits, in kHz. */
		assert_true((uint64_t)(leaf->ecx / 1000) * leaf->ebx <= UINT32_MAX);
		assert_int_equal(get(&table, 0x16, 0)->eax, (rates_khz[i] + 500) / 1000);
	}
}

static void test_unknown_tsc_rate_changes_nothing(void **state)
{
	struct cpuid_config config = config_of(0, 1);
	struct cpuid_table table;

	(void)state;
	config.tsc_khz = 0;
	LOAD(&table, intel);
	assert_int_equal(cpuid_adapt(&table, &config), 0);
	assert_int_equal(get(&table, 0x15, 0)->ecx, 24000000);
	assert_null(cpuid_find(&table, 0x16, 0));
}

static void test_old_processor_gets_the_topology_leaf(void **state)
{
	const struct cpuid_config config = config_of(1, 2);
	struct cpuid_table table;

	(void)state;
	LOAD(&table, amd);
	table.leaves[0].eax = 5;
	assert_int_equal(cpuid_adapt(&table, &config), 0);
	assert_int_equal(get(&table, 0, 0)->eax, 0xb);
	assert_int_equal(get(&table, 0xb, 1)->edx, 1);
	assert_null(cpuid_find(&table, 0x1f, 0));
}

static void test_kvm_signature(void **state)
{
	const struct cpuid_config config = config_of(0, 1);
	struct cpuid_table table;
	char signature[13] = "";

	(void)state;
	/* This table has no such leaf at all; others have 0 as their highest leaf. */
	LOAD(&table, intel);
	assert_int_equal(cpuid_adapt(&table, &config), 0);
	assert_int_equal(get(&table, 0x40000000, 0)->eax, 0x40000001);
	memcpy(signature, &get(&table, 0x40000000, 0)->ebx, 12);
	assert_string_equal(signature, "KVMKVMKVM");
	assert_int_equal(get(&table, 0x40000001, 0)->eax, 0);
}

static void test_brand_fills_a_gap_only(void **state)
{
	struct cpuid_config config = config_of(0, 1);
	struct cpuid_table table;

	(void)state;
	memcpy(config.brand, "A processor of some name", 25);
	LOAD(&table, amd);
	assert_int_equal(cpuid_adapt(&table, &config), 0);
	assert_memory_equal(&get(&table, 0x80000002, 0)->eax, "A processor of s", 16);
	assert_memory_equal(&get(&table, 0x80000003, 0)->eax, "ome name", 8);
	assert_int_equal(get(&table, 0x80000004, 0)->edx, 0);
	LOAD(&table, amd);
	table.leaves[table.count++] =
		(struct cpuid_leaf){.function = 0x80000002, .eax = 0x20202020};
	assert_int_equal(cpuid_adapt(&table, &config), 0);
	assert_int_equal(get(&table, 0x80000002, 0)->eax, 0x20202020);
	assert_null(cpuid_find(&table, 0x80000003, 0));
}

static void test_full_table_is_an_error(void **state)
{
	const struct cpuid_config config = config_of(0, 2);
	struct cpuid_table table;

	(void)state;
	LOAD(&table, amd);
	while (table.count < CPUID_LEAVES_MAX) {
		table.leaves[table.count] =
			(struct cpuid_leaf){.function = 0x50000000 + table.count};
		table.count++;
	}
	assert_int_equal(cpuid_adapt(&table, &config), -28 /* ENOSPC */);
	assert_int_equal(table.count, CPUID_LEAVES_MAX);
}

static void test_empty_table_is_harmless(void **state)
{
	const struct cpuid_config config = config_of(0, 2);
	struct cpuid_table table = {.count = 0};

	(void)state;
	assert_int_equal(cpuid_adapt(&table, &config), 0);
	assert_non_null(cpuid_find(&table, 0x40000000, 0));
}

static void test_rates_where_nothing_measures_them(void **state)
{
	struct cpuid_config config = config_of(0, 1);
	struct cpuid_table table;

	(void)state;
	LOAD(&table, amd);
	assert_int_equal(cpuid_adapt(&table, &config), 0);
	assert_null(cpuid_find(&table, 0x40000010, 0));
	config.tell_rates = true;
	LOAD(&table, amd);
	assert_int_equal(cpuid_adapt(&table, &config), 0);
	assert_int_equal(cpuid_find(&table, 0x40000000, 0)->eax, 0x40000010);
	assert_int_equal(cpuid_find(&table, 0x40000010, 0)->eax, 2600000);
	assert_int_equal(cpuid_find(&table, 0x40000010, 0)->ebx, 1000000);
	/* What is not known is not told. */
	config.tsc_khz = 0;
	LOAD(&table, amd);
	assert_int_equal(cpuid_adapt(&table, &config), 0);
	assert_null(cpuid_find(&table, 0x40000010, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_features_of_a_guest),
		cmocka_unit_test(test_deadline_timer_only_where_kvm_has_it),
		cmocka_unit_test(test_nested_virtualization_is_hidden),
		cmocka_unit_test(test_invariant_tsc_and_the_rest_pass),
		cmocka_unit_test(test_topology_of_any_size),
		cmocka_unit_test(test_each_leaf_stands_once),
		cmocka_unit_test(test_amd_caches),
		cmocka_unit_test(test_amd_without_topoext_has_no_such_leaves),
		cmocka_unit_test(test_intel_caches_and_cores),
		cmocka_unit_test(test_intel_core_field_is_not_overrun),
		cmocka_unit_test(test_tsc_rate_is_exact),
		cmocka_unit_test(test_unknown_tsc_rate_changes_nothing),
		cmocka_unit_test(test_old_processor_gets_the_topology_leaf),
		cmocka_unit_test(test_rates_where_nothing_measures_them),
		cmocka_unit_test(test_kvm_signature),
		cmocka_unit_test(test_brand_fills_a_gap_only),
		cmocka_unit_test(test_full_table_is_an_error),
		cmocka_unit_test(test_empty_table_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
