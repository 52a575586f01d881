/*
 * Memory that is no RAM, with the log of what the guest wrote to: which pages, once each, and
 * what of that outlives a reset; and a thread that asks for it while the machine is made again.
 */
#include "tests/boot/kvm_guest.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define PLACE UINT64_C(0xc0000000)

enum {
	SLOT = 5,
	PAGES = 70, /* more than one word of bits */
	PAGE_BYTES = 4096,
	RESETS = 8,
};

/* What is only read may be noted as well: KVM lets the guest write to what the host has already. */
#define READ_ONLY_PAGE (UINT64_C(1) << 7)

static uint8_t *memory;

/* Writes to pages 0, 3 and 69, and reads page 7. */
GUEST_ASM(code_draw,
	"mov $0xc0000000, %ebx\n"
	"movl $0x11223344, 8(%rbx)\n"
	"movb $0x55, 0x3fff(%rbx)\n"
	"movl $0x66778899, 0x45ffc(%rbx)\n"
	"mov 0x7000(%rbx), %eax\n" GUEST_FINISH);

static void map(struct guest *guest)
{
	struct err err = ERR_INIT;

	memory = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		-1, 0);
	assert_true(memory != MAP_FAILED);
	if (kvm_set_memory(&guest->kvm, SLOT, PLACE, PAGES * PAGE_BYTES, memory,
		    KVM_MEMORY_LOG_WRITES, &err) < 0)
		fail_msg("%s", err.text);
}

static void unmap(struct guest *guest)
{
	guest_halt(guest);
	assert_int_equal(kvm_set_memory(&guest->kvm, SLOT, 0, 0, NULL, 0, NULL), 0);
	munmap(memory, PAGES * PAGE_BYTES);
}

static void draw(struct guest *guest)
{
	guest_start(guest, code_draw, code_draw_end);
	guest_expect_done(guest, 1);
}

static void test_written_pages_are_told_once(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	uint64_t bits[2];

	map(guest);
	/* Registered before there is a machine. */
	assert_true(kvm_take_dirty(&guest->kvm, SLOT, bits) < 0);
	draw(guest);
	assert_int_equal(load_le32(memory + 8), 0x11223344);
	assert_int_equal(memory[0x3fff], 0x55);
	assert_int_equal(load_le32(memory + 0x45ffc), 0x66778899);
	assert_int_equal(kvm_take_dirty(&guest->kvm, SLOT, bits), 0);
	assert_int_equal(bits[0] & ~READ_ONLY_PAGE, 1 << 0 | 1 << 3);
	assert_int_equal(bits[1], 1 << (69 - 64));
	assert_int_equal(kvm_take_dirty(&guest->kvm, SLOT, bits), 0);
	assert_int_equal(bits[0] | bits[1], 0);
	unmap(guest);
}

static void test_a_reset_keeps_the_memory(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	uint64_t bits[2];

	map(guest);
	draw(guest);
	guest_halt(guest);
	assert_true(kvm_take_dirty(&guest->kvm, SLOT, bits) < 0);
	/* As a framebuffer is cleared. */
	assert_int_equal(madvise(memory, PAGES * PAGE_BYTES, MADV_DONTNEED), 0);
	assert_int_equal(load_le32(memory + 8), 0);
	draw(guest);
	assert_int_equal(load_le32(memory + 8), 0x11223344);
	assert_int_equal(kvm_take_dirty(&guest->kvm, SLOT, bits), 0);
	assert_int_equal(bits[0] & ~READ_ONLY_PAGE, 1 << 0 | 1 << 3);
	unmap(guest);
}

struct asker {
	struct guest *guest;
	atomic_bool done;
	unsigned answers;
};

static void *ask(void *opaque)
{
	struct asker *asker = opaque;
	uint64_t bits[2];

	while (!atomic_load(&asker->done))
		asker->answers += kvm_take_dirty(&asker->guest->kvm, SLOT, bits) == 0;
	return NULL;
}

static void test_asking_while_the_machine_is_made_again(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	struct asker asker = {.guest = guest};
	pthread_t thread;

	map(guest);
	assert_int_equal(pthread_create(&thread, NULL, ask, &asker), 0);
	for (int i = 0; i < RESETS; i++) {
		draw(guest);
		assert_int_equal(load_le32(memory + 8), 0x11223344);
		guest_halt(guest);
	}
	atomic_store(&asker.done, true);
	pthread_join(thread, NULL);
	assert_true(asker.answers > 0);
	unmap(guest);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, guest_setup, guest_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_written_pages_are_told_once),
		TEST(test_a_reset_keeps_the_memory),
		TEST(test_asking_while_the_machine_is_made_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
