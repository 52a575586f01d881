/*
 * Starts the other processors by the student's functions, as the test asks by a word of the command
 * line, and lets them do what goes wrong when something is missing.
 */
#include "smp.h"

enum {
	PATIENCE_MS = 2000,
	LOCK_ROUNDS = 60,
	LOCK_CHECKS = 20,
	BARRIER_ROUNDS = 5,
	NOBODY = CPUS_MAX - 1, /* no test has so many processors */
};

#define CR0_CACHE_BITS (3ull << 29) /* CD and NW */

static unsigned ids[CPUS_MAX], cpus;

static bool expect(bool is_right, const char *what)
{
	print(is_right ? "ok: " : "WRONG: ");
	print(what);
	print("\n");
	return is_right;
}

static _Noreturn void fail(const char *what)
{
	expect(false, what);
	exit_vm(1);
}

/* Until `*variable` is at least `value`. */
static bool wait_for(const volatile unsigned *variable, unsigned value)
{
	for (unsigned ms = 0; ms < PATIENCE_MS && *variable < value; ms++)
		delay(1000);
	return *variable >= value;
}

/* Starts all processors but this one. */
static void start_all(cpu_fn *fn)
{
	for (unsigned i = 0; i < cpus; i++)
		if (ids[i] != cpu_id() && !cpu_start(ids[i], fn))
			fail("each processor starts");
}

/* ---- What a processor is like when it has been started ---- */

static volatile struct {
	unsigned is_here, id;
	uint64_t stack, cr0, cr3;
} found[CPUS_MAX];

static uint64_t read_cr0(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr0, %0" : "=r"(value));
	return value;
}

static uint64_t read_cr3(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr3, %0" : "=r"(value));
	return value;
}

/* By another way than the student's. */
static unsigned real_id(void)
{
	unsigned a = 1, b, c, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
	return b >> 24 & (CPUS_MAX - 1);
}

static void tell(void)
{
	unsigned id = real_id();

	found[id].id = cpu_id();
	found[id].stack = (uint64_t)__builtin_frame_address(0);
	found[id].cr0 = read_cr0();
	found[id].cr3 = read_cr3();
	found[id].is_here = 1;
}

static int check_start(void)
{
	unsigned id = ids[cpus - 1];
	bool right = expect(cpu_id() == real_id(), "the first processor knows its id");

	if (!cpu_start(id, tell) || !wait_for(&found[id].is_here, 1))
		fail("another processor starts");
	right &= expect(true, "another processor starts");
	right &= expect(found[id].id == id, "it knows its id");
	right &= expect(found[id].cr3 == read_cr3(), "it has the page tables");
	right &= expect(!(found[id].cr0 & CR0_CACHE_BITS), "its caches are on");
	/* At the first instruction of a function RSP + 8 is a multiple of 16 (System V ABI). */
	right &= expect(found[id].stack % 16 == 0, "its stack is aligned as after a call");
	return !right;
}

static bool are_apart(uint64_t a, uint64_t b)
{
	return (a > b ? a - b : b - a) >= CPU_STACK_BYTES;
}

static int check_stacks(void)
{
	bool right = true;

	tell();
	start_all(tell);
	for (unsigned i = 0; i < cpus; i++)
		if (!wait_for(&found[ids[i]].is_here, 1))
			fail("each processor does what it is told");
	right &= expect(true, "each processor does what it is told");
	for (unsigned i = 0; i < cpus; i++)
		for (unsigned j = 0; j < i; j++)
			right &= are_apart(found[ids[i]].stack, found[ids[j]].stack);
	return !expect(right, "each has a stack of its own");
}

static int check_nobody(void)
{
	return !expect(!cpu_start(NOBODY, tell), "a processor that is not there does not start");
}

/* ---- Locks ---- */

static struct lock lock;
static volatile unsigned trying, inside, done, mistakes, counter;

static void get_in(void)
{
	trying = 1;
	lock_acquire(&lock);
	inside = 1;
	lock_release(&lock);
}

static int check_held(void)
{
	bool right;

	lock_acquire(&lock);
	start_all(get_in);
	if (!wait_for(&trying, 1))
		fail("another processor starts");
	delay(5000);
	right = expect(!inside, "nobody gets in while the lock is held");
	lock_release(&lock);
	right &= expect(wait_for(&inside, 1), "somebody gets in when it is free");
	lock_acquire(&lock);
	lock_release(&lock);
	return !(right & expect(true, "and it is free again"));
}

/* What only one at a time may do: another would be seen. */
static void count_alone(void)
{
	unsigned before = counter;

	if (inside)
		mistakes = 1;
	inside = 1;
	for (unsigned i = 0; i < LOCK_CHECKS; i++)
		if (counter != before)
			mistakes = 1;
	inside = 0;
	counter = before + 1;
}

static void count(void)
{
	for (unsigned i = 0; i < LOCK_ROUNDS; i++) {
		lock_acquire(&lock);
		count_alone();
		lock_release(&lock);
	}
	lock_acquire(&lock);
	done = done + 1;
	lock_release(&lock);
}

static int check_counter(void)
{
	/* They wait until all are there. */
	lock_acquire(&lock);
	start_all(count);
	lock_release(&lock);
	count();
	if (!wait_for(&done, cpus))
		fail("all come to the end");
	return !(expect(!mistakes, "one at a time") &
		expect(counter == cpus * LOCK_ROUNDS, "no count is lost"));
}

/* ---- The barrier ---- */

static struct barrier barrier;
static volatile unsigned reached[CPUS_MAX];

static void meet(void)
{
	unsigned id = real_id();

	/* Only one at a time may call delay(): the first processor has started all others. */
	barrier_wait(&barrier, cpus);
	for (unsigned round = 1; round <= BARRIER_ROUNDS; round++) {
		/* Each time another one is late. */
		if (id == ids[round % cpus])
			delay(2000);
		reached[id] = round;
		barrier_wait(&barrier, cpus);
		for (unsigned i = 0; i < cpus; i++)
			if (reached[ids[i]] != round)
				mistakes = 1;
		/* Nobody is in the next round while somebody still looks at this one. */
		barrier_wait(&barrier, cpus);
	}
	lock_acquire(&lock);
	done = done + 1;
	lock_release(&lock);
}

static int check_barrier(void)
{
	start_all(meet);
	meet();
	if (!wait_for(&done, cpus))
		fail("all come to the end");
	return !(expect(true, "all come to the end") &
		expect(!mistakes, "nobody leaves before the last has come"));
}

int kmain(const char *words, const uint8_t *boot_params)
{
	(void)boot_params;
	cpus = cpus_list(ids);
	if (has_word(words, "stacks"))
		return check_stacks();
	if (has_word(words, "nobody"))
		return check_nobody();
	if (has_word(words, "held"))
		return check_held();
	if (has_word(words, "counter"))
		return check_counter();
	if (has_word(words, "barrier"))
		return check_barrier();
	return check_start();
}
