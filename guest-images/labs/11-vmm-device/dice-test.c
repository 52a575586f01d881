/*
 * The device alone, in a machine without KVM (tests/fake/fake_machine.h): touches its ports as a guest
 * would. The word says what is looked at; each line is what was found.
 */
#include <stdio.h>
#include <string.h>

#include "tests/fake/fake_machine.h"

extern const struct device_class dice_class;

enum {
	PORT = 0x5d0,
	THROW = PORT, /* read: the device's mark */
	SIDES = PORT + 1,
	RESULT = PORT + 2, /* written: the seed */
	COUNT = PORT + 3,
	IRQ = 5,
};

static struct fake_machine *fm;
static struct device *dice;

static unsigned in(uint16_t port)
{
	return (unsigned)fake_machine_in(fm, port, 1);
}

static void out(uint16_t port, unsigned value)
{
	fake_machine_out(fm, port, 1, value);
}

static void say(const char *what, unsigned value)
{
	printf("%s: %u\n", what, value);
}

static void say_state(void)
{
	printf("sides %u, results %u, interrupt %s, errors %llu\n", in(SIDES), in(COUNT),
		fake_machine_irq_level(fm, IRQ) ? "on" : "off",
		(unsigned long long)dice->guest_errors.total);
}

static void throw_and_say(unsigned sides, unsigned seed, unsigned times)
{
	out(SIDES, sides);
	out(RESULT, seed);
	printf("%u sides, seed %u:", sides, seed);
	while (times--) {
		out(THROW, 0);
		printf(" %u", in(RESULT));
	}
	printf("\n");
}

/* ---- What each word looks at ---- */

static void look_at_list(void)
{
	const struct device_class *found = device_class_find("dice");

	printf("dice: %s\n", found ? "in the list of devices" : "not in the list of devices");
	printf("description: %s\n", found && found->description[0] ? "yes" : "none");
}

static void look_at_start(void)
{
	printf("mark: %x\n", in(THROW));
	say_state();
	say("result without a throw", in(RESULT));
	printf("all four at once: %08x\n", (unsigned)fake_machine_in(fm, PORT, 4));
	printf("the port behind: %x\n", in(PORT + 4));
}

static void look_at_throws(void)
{
	throw_and_say(6, 1, 8);
	throw_and_say(6, 1, 8);
	throw_and_say(100, 200, 8);
	throw_and_say(2, 77, 8);
}

static void look_at_sides(void)
{
	static const unsigned values[] = {0, 1, 2, 100, 101, 255};

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		out(SIDES, values[i]);
		printf("%u: ", values[i]);
		say_state();
	}
	out(COUNT, 3);
	printf("count written: ");
	say_state();
}

static void look_at_full(void)
{
	out(SIDES, 100);
	for (unsigned i = 0; i < 10; i++)
		out(THROW, 0);
	say_state();
	printf("results:");
	for (unsigned i = 0; i < 20 && in(COUNT); i++)
		printf(" %u", in(RESULT));
	printf("\n");
	say_state();
}

static void look_at_interrupt(void)
{
	out(THROW, 0);
	out(THROW, 0);
	say_state();
	in(RESULT);
	say_state();
	in(RESULT);
	say_state();
	in(RESULT);
	out(THROW, 0);
	say_state();
	say("it went up so many times", (unsigned)fake_machine_irq_count(fm, IRQ));
}

static void look_at_reset(void)
{
	out(SIDES, 20);
	out(RESULT, 9);
	out(THROW, 0);
	device_reset(dice);
	say_state();
	out(THROW, 0);
	out(THROW, 0);
	say("first", in(RESULT));
	say("second", in(RESULT));
}

/* A guest that means no good: every kind of access, in no order. */
static void look_at_hostile(void)
{
	uint32_t chance = 1;

	for (unsigned i = 0; i < 100000; i++) {
		unsigned port, size;

		chance = chance * 1664525 + 1013904223;
		port = PORT - 1 + (chance >> 28) % 6;
		size = 1U << (chance >> 26) % 4;
		if (chance >> 25 & 1)
			fake_machine_out(fm, (uint16_t)port, size, chance >> 8);
		else
			fake_machine_in(fm, (uint16_t)port, size);
		if (in(COUNT) > 8 || in(SIDES) < 2 || in(SIDES) > 100 ||
			fake_machine_irq_level(fm, IRQ) != (in(COUNT) > 0)) {
			printf("after %u accesses: ", i + 1);
			say_state();
			return;
		}
	}
	printf("100000 accesses\n");
}

static const struct {
	const char *word;
	void (*look)(void);
} looks[] = {
	{"list", look_at_list},
	{"start", look_at_start},
	{"throws", look_at_throws},
	{"sides", look_at_sides},
	{"full", look_at_full},
	{"interrupt", look_at_interrupt},
	{"reset", look_at_reset},
	{"hostile", look_at_hostile},
};

/* Without the device's ports there is nothing to look at, and nothing to wait for. */
static int look(void (*look_at)(void))
{
	const struct device_args args = {.name = "dice0"};
	struct err err = ERR_INIT;
	int ret;

	fm = fake_machine_create(1 * MIB);
	ret = device_create(&dice, &dice_class, &args, &err);
	if (ret < 0) {
		printf("create: %s\n", err.text);
		fake_machine_destroy(fm);
		return 1;
	}
	ret = device_realize(dice, &fm->platform, &err);
	if (ret < 0)
		printf("realize: %s\n", err.text);
	else
		look_at();
	device_destroy(dice);
	fake_machine_destroy(fm);
	return ret < 0;
}

int main(int argc, char **argv)
{
	log_set_level(LOG_ERROR);
	for (size_t i = 0; argc == 2 && i < ARRAY_SIZE(looks); i++)
		if (!strcmp(argv[1], looks[i].word))
			return look(looks[i].look);
	fprintf(stderr, "usage: dice-test list|start|throws|sides|full|interrupt|reset|hostile\n");
	return 2;
}
