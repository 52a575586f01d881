/*
 * watch_judge: from what was seen of the processors, the devices and the consoles to a diagnosis;
 * above all, that a guest which is well is never called hung.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "vmm/base/util.h"
#include "vmm/watch_judge.h"
#include "vmm/watch_words.h"

enum {
	CPUS = 2,
	SAMPLES = 12
};

struct scene {
	struct watch_facts facts;
	struct watch_cpu cpus[CPUS];
	enum guest_driver drivers[2];
	struct watch_verdict verdict;
	char text[WATCH_TEXT_MAX], hint[WATCH_TEXT_MAX];
};

/* A Linux guest with one console that has shown something; nobody has been looked at. */
static struct scene *make(struct scene *scene)
{
	*scene = (struct scene){.facts = {.cpu_count = CPUS,
					.window_ns = 300000000,
					.is_linux = true,
					.cmdline = "console=ttyS0 root=/dev/vda1",
					.last_line = "guest login: ",
					.console_count = 1,
					.disk_count = 1}};
	scene->facts.cpus = scene->cpus;
	scene->facts.disk_drivers = scene->drivers;
	scene->facts.consoles[0] = (struct watch_console){
		.name = "ttyS0", .host_side = "stdio", .is_shown = true, .bytes = 1000};
	return scene;
}

static const struct vcpu_sample halted = {
	.is_halted = true, .interrupts_on = true, .code = 0x1000, .last.kind = EXIT_KIND_OTHER};
static const struct vcpu_sample running = {
	.interrupts_on = true, .code = 0x1000, .last.kind = EXIT_KIND_OTHER};

static void add(struct watch_cpu *cpu, const struct vcpu_sample *sample)
{
	for (unsigned i = 0; i < SAMPLES; i++)
		watch_cpu_add(cpu, sample);
}

static enum watch_kind judge(struct scene *scene)
{
	watch_judge(&scene->facts, &scene->verdict);
	watch_explain(&scene->facts, &scene->verdict, "RIP 0x1000 (name+0x0)", "serial0",
		scene->text, scene->hint);
	assert_true(strlen(scene->text) < WATCH_TEXT_MAX - 1);
	for (const char *c = scene->text; *c; c++)
		assert_true(*c >= 0x20 && *c < 0x7f);
	if (watch_is_trouble(scene->verdict.kind))
		assert_true(*scene->text && *scene->hint);
	return scene->verdict.kind;
}

/* ---- Well ---- */

static void sleepers_are_idle(void **state)
{
	struct scene scene;

	(void)state;
	make(&scene);
	assert_int_equal(judge(&scene), WATCH_UNKNOWN);
	watch_cpu_add(&scene.cpus[0], &halted);
	watch_cpu_add(&scene.cpus[1], &halted);
	assert_true(watch_is_asleep(scene.cpus, CPUS));
	assert_int_equal(judge(&scene), WATCH_IDLE);
	assert_non_null(strstr(scene.text, "guest login: "));
	/* One that was taken out of service sleeps with interrupts off. */
	add(&scene.cpus[1], &(struct vcpu_sample){.is_halted = true, .last.kind = EXIT_KIND_OTHER});
	assert_int_equal(judge(&scene), WATCH_IDLE);
}

static void processors_that_were_not_started_do_not_count(void **state)
{
	const struct vcpu_sample off = {.is_off = true};
	struct scene scene;

	(void)state;
	make(&scene);
	add(&scene.cpus[1], &off);
	assert_false(watch_is_asleep(scene.cpus, CPUS));
	assert_int_equal(judge(&scene), WATCH_UNKNOWN);
	watch_cpu_add(&scene.cpus[0], &halted);
	assert_int_equal(judge(&scene), WATCH_IDLE);
	assert_int_equal(scene.cpus[1].answers, SAMPLES);
}

static void programs_are_busy(void **state)
{
	struct vcpu_sample user = running;
	struct scene scene;

	(void)state;
	make(&scene);
	user.in_user = true;
	add(&scene.cpus[0], &user);
	add(&scene.cpus[1], &halted);
	assert_int_equal(judge(&scene), WATCH_BUSY);
	/* A single one among many: a program that lives in system calls. */
	make(&scene);
	add(&scene.cpus[0], &running);
	watch_cpu_add(&scene.cpus[0], &user);
	assert_int_equal(judge(&scene), WATCH_BUSY);
}

/* Two registers that move: a copy of memory, as in a read() of a large file. */
static void copies_are_busy(void **state)
{
	struct vcpu_sample copy = running;
	struct scene scene;

	(void)state;
	make(&scene);
	for (unsigned i = 0; i < SAMPLES; i++) {
		copy.regs[2] = i;
		copy.regs[5] = 1000 - i;
		watch_cpu_add(&scene.cpus[0], &copy);
	}
	assert_int_equal(judge(&scene), WATCH_BUSY);
}

static void code_that_moves_on_is_busy(void **state)
{
	struct vcpu_sample moving = running;
	struct scene scene;

	(void)state;
	make(&scene);
	add(&scene.cpus[0], &moving);
	moving.code += WATCH_LOOP_BYTES + 1;
	watch_cpu_add(&scene.cpus[0], &moving);
	assert_int_equal(judge(&scene), WATCH_BUSY);
	make(&scene);
	moving = running;
	moving.interrupts_on = false;
	add(&scene.cpus[0], &moving);
	moving.code += WATCH_LOOP_OFF_BYTES + 1;
	watch_cpu_add(&scene.cpus[0], &moving);
	assert_int_equal(judge(&scene), WATCH_BUSY);
}

static void one_that_slept_once_does_not_spin(void **state)
{
	struct scene scene;

	(void)state;
	make(&scene);
	add(&scene.cpus[0], &running);
	watch_cpu_add(&scene.cpus[0], &halted);
	assert_int_equal(judge(&scene), WATCH_BUSY);
}

static void few_samples_prove_nothing(void **state)
{
	struct scene scene;

	(void)state;
	make(&scene);
	for (unsigned i = 0; i < WATCH_SAMPLES_MIN - 1; i++)
		watch_cpu_add(&scene.cpus[0], &running);
	assert_int_equal(judge(&scene), WATCH_BUSY);
	watch_cpu_add(&scene.cpus[0], &running);
	assert_int_equal(judge(&scene), WATCH_SPINS);
}

static void a_kernel_told_to_poll_may(void **state)
{
	struct scene scene;

	(void)state;
	make(&scene)->facts.cmdline = "console=ttyS0 idle=poll";
	add(&scene.cpus[0], &running);
	assert_int_equal(judge(&scene), WATCH_BUSY);
}

static struct vcpu_sample accessing(enum exit_kind kind, uint64_t addr, bool unclaimed)
{
	struct vcpu_sample sample = running;

	sample.last = (struct exit_record){
		.kind = kind, .addr = addr, .count = 1, .size = 1, .unclaimed = unclaimed};
	return sample;
}

static void asking_a_device_is_waiting(void **state)
{
	struct vcpu_sample sample = accessing(EXIT_KIND_PIO_READ, 0x3fd, false);
	struct scene scene;

	(void)state;
	make(&scene)->facts.is_linux = false;
	for (unsigned i = 0; i < SAMPLES; i++) {
		sample.exits += 1000;
		watch_cpu_add(&scene.cpus[0], &sample);
	}
	assert_int_equal(judge(&scene), WATCH_POLLS);
	assert_non_null(strstr(scene.text, "serial0"));
	assert_non_null(strstr(scene.text, "port 0x3fd"));
	assert_false(watch_is_trouble(WATCH_POLLS));
}

/* ---- Not well ---- */

static void deaf_sleepers_are_halted_for_good(void **state)
{
	struct vcpu_sample deaf = halted;
	struct scene scene;

	(void)state;
	make(&scene);
	deaf.interrupts_on = false;
	watch_cpu_add(&scene.cpus[0], &deaf);
	watch_cpu_add(&scene.cpus[1], &deaf);
	assert_int_equal(judge(&scene), WATCH_HALTED);
	assert_non_null(strstr(scene.text, "name+0x0"));
	assert_true(watch_is_hung(WATCH_HALTED));
	scene.facts.last_line = "[  12.3] reboot: System halted";
	assert_int_equal(judge(&scene), WATCH_HALTED);
	assert_non_null(strstr(scene.text, "halt(8)"));
	/* While another one runs, it may still be woken by INIT. */
	add(&scene.cpus[1], &running);
	scene.cpus[1].in_user = 1;
	assert_int_equal(judge(&scene), WATCH_BUSY);
}

static void loops_spin(void **state)
{
	struct vcpu_sample sample = running;
	struct scene scene;

	(void)state;
	make(&scene);
	add(&scene.cpus[0], &halted);
	for (unsigned i = 0; i < SAMPLES; i++) {
		sample.regs[0] = i;
		sample.code = 0x2000 + i;
		watch_cpu_add(&scene.cpus[1], &sample);
	}
	assert_int_equal(judge(&scene), WATCH_SPINS);
	assert_int_equal(scene.verdict.cpu, 1);
	assert_non_null(strstr(scene.text, "interrupts on"));
	/* With interrupts off a larger loop is one too, whatever its registers do. */
	make(&scene)->facts.cmdline = "idle=poll";
	sample.interrupts_on = false;
	for (unsigned i = 0; i < SAMPLES; i++) {
		sample.regs[0] = sample.regs[1] = sample.regs[2] = i;
		sample.code = 0x2000 + i * 80;
		watch_cpu_add(&scene.cpus[1], &sample);
	}
	assert_int_equal(judge(&scene), WATCH_SPINS);
	assert_non_null(strstr(scene.text, "interrupts off"));
	/* But not in a kernel of few instructions, which may compute like that. */
	scene.facts.is_linux = false;
	assert_int_equal(judge(&scene), WATCH_BUSY);
	scene.cpus[1].regs_changed = 1;
	assert_int_equal(judge(&scene), WATCH_SPINS);
}

static void accesses_to_nothing_are_a_storm(void **state)
{
	struct vcpu_sample sample = accessing(EXIT_KIND_MMIO_WRITE, 0xfee0dead, true);
	struct scene scene;

	(void)state;
	make(&scene);
	for (unsigned i = 0; i < SAMPLES; i++) {
		sample.exits += 1000;
		sample.unclaimed += 1000;
		watch_cpu_add(&scene.cpus[0], &sample);
	}
	assert_int_equal(judge(&scene), WATCH_STORM);
	assert_non_null(strstr(scene.text, "writes to address 0xfee0dead"));
	/* Not when they are few, and not when they go to many places. */
	scene.facts.window_ns = UINT64_C(60000000000);
	assert_int_not_equal(judge(&scene), WATCH_STORM);
	scene.facts.window_ns = 300000000;
	sample.last.addr++;
	watch_cpu_add(&scene.cpus[0], &sample);
	assert_int_not_equal(judge(&scene), WATCH_STORM);
}

static void an_interpreting_kvm_is_named(void **state)
{
	struct scene scene;

	(void)state;
	make(&scene)->facts.is_interpreted = true;
	add(&scene.cpus[0], &running);
	assert_int_equal(judge(&scene), WATCH_INTERPRETED);
	assert_non_null(strstr(scene.hint, "vmm doctor"));
	assert_false(watch_is_hung(WATCH_INTERPRETED));
	/* A kernel of a few instructions is at home there. */
	scene.facts.is_linux = false;
	assert_int_equal(judge(&scene), WATCH_SPINS);
}

static void panics_come_first(void **state)
{
	struct scene scene;

	(void)state;
	make(&scene)->facts.panic_reason = "VFS: Unable to mount root fs on \x1b[31m";
	scene.drivers[0] = GUEST_DRIVER_NO_BUS;
	add(&scene.cpus[0], &running);
	assert_int_equal(judge(&scene), WATCH_PANIC);
	assert_non_null(strstr(scene.hint, "CONFIG_VIRTIO_BLK"));
}

static void a_root_that_never_comes(void **state)
{
	struct scene scene;

	(void)state;
	make(&scene)->facts.last_line = "Waiting for root device /dev/vda1...";
	scene.drivers[0] = GUEST_DRIVER_NONE;
	add(&scene.cpus[0], &halted);
	assert_int_equal(judge(&scene), WATCH_WAITS_FOR_ROOT);
	assert_non_null(strstr(scene.hint, "CONFIG_VIRTIO_BLK"));
	scene.drivers[0] = GUEST_DRIVER_READY;
	assert_int_equal(judge(&scene), WATCH_WAITS_FOR_ROOT);
	assert_non_null(strstr(scene.hint, "/dev/vda1"));
	scene.facts.cmdline = "root=/dev/vdz";
	assert_int_equal(judge(&scene), WATCH_WAITS_FOR_ROOT);
	assert_non_null(strstr(scene.text, "does not have"));
	scene.facts.cmdline = "root=UUID=1234";
	scene.facts.disk_count = 0;
	assert_int_equal(judge(&scene), WATCH_WAITS_FOR_ROOT);
	/* A quiet one does not say so. */
	make(&scene)->facts.cmdline = "quiet rootwait root=/dev/vda";
	scene.drivers[0] = GUEST_DRIVER_NO_BUS;
	add(&scene.cpus[0], &halted);
	assert_int_equal(judge(&scene), WATCH_WAITS_FOR_ROOT);
	assert_null(strstr(scene.text, "login"));
	scene.facts.has_initrd = true;
	assert_int_equal(judge(&scene), WATCH_IDLE);
	scene.facts.has_initrd = false;
	scene.drivers[0] = GUEST_DRIVER_READY;
	assert_int_equal(judge(&scene), WATCH_IDLE);
}

/* ---- Consoles ---- */

static void output_that_nobody_sees(void **state)
{
	struct scene scene;

	(void)state;
	make(&scene)->facts.console_count = 2;
	scene.facts.consoles[0].bytes = 0;
	scene.facts.consoles[1] =
		(struct watch_console){.name = "hvc0", .host_side = "null", .bytes = 77};
	add(&scene.cpus[0], &halted);
	assert_int_equal(judge(&scene), WATCH_CONSOLE_ELSEWHERE);
	assert_non_null(strstr(scene.text, "77 bytes, but to hvc0"));
	scene.facts.consoles[0].bytes = 1;
	assert_int_equal(judge(&scene), WATCH_IDLE);
}

static void console_words_are_compared(void **state)
{
	struct scene scene;

	(void)state;
	make(&scene)->facts.cmdline = "console=tty0 console=ttyS1,115200";
	scene.facts.consoles[0].bytes = 0;
	add(&scene.cpus[0], &halted);
	assert_int_equal(judge(&scene), WATCH_CONSOLE_UNKNOWN);
	assert_non_null(strstr(scene.text, "console=ttyS1"));
	/* One right word is enough; a quiet kernel may have nothing to say. */
	scene.facts.cmdline = "quiet console=ttyS1 console=ttyS0,115200";
	assert_int_equal(judge(&scene), WATCH_IDLE);
	scene.facts.cmdline = "console=ttyS0";
	assert_int_equal(judge(&scene), WATCH_CONSOLE_DRIVER);
	assert_non_null(strstr(scene.hint, "CONFIG_SERIAL_8250_CONSOLE"));
	/* It may not have come that far. */
	add(&scene.cpus[1], &running);
	scene.cpus[1].regs_changed = 0xff;
	assert_int_equal(judge(&scene), WATCH_BUSY);
	/* And what is no Linux has no such words. */
	make(&scene)->facts.is_linux = false;
	scene.facts.consoles[0].bytes = 0;
	add(&scene.cpus[0], &halted);
	assert_int_equal(judge(&scene), WATCH_IDLE);
}

static void what_a_screen_shows_is_not_known(void **state)
{
	struct scene scene;

	(void)state;
	make(&scene)->facts.cmdline = "console=tty0";
	scene.facts.consoles[0].bytes = 0;
	scene.facts.consoles[1] =
		(struct watch_console){.name = "tty0", .is_shown = true, .is_screen = true};
	scene.facts.console_count = 2;
	add(&scene.cpus[0], &halted);
	assert_int_equal(judge(&scene), WATCH_IDLE);
	/* On a machine without one the word names nothing. */
	scene.facts.console_count = 1;
	assert_int_equal(judge(&scene), WATCH_CONSOLE_UNKNOWN);
}

static void a_console_without_its_driver(void **state)
{
	struct scene scene;

	(void)state;
	make(&scene)->facts.cmdline = "quiet console=hvc0";
	scene.facts.consoles[0] = (struct watch_console){.name = "hvc0",
		.host_side = "stdio",
		.is_shown = true,
		.driver = GUEST_DRIVER_NO_BUS};
	add(&scene.cpus[0], &halted);
	assert_int_equal(judge(&scene), WATCH_CONSOLE_DRIVER);
	assert_non_null(strstr(scene.hint, "CONFIG_VIRTIO_CONSOLE"));
}

/* ---- Words ---- */

static void words_of_a_command_line(void **state)
{
	char value[8];

	(void)state;
	assert_true(watch_find_word(
		"a=1 console=x  console=longer-than-it", "console", 1, value, sizeof(value)));
	assert_string_equal(value, "longer-");
	assert_false(watch_find_word("xconsole=1 console", "console", 0, value, sizeof(value)));
	assert_false(watch_find_word(NULL, "console", 0, value, sizeof(value)));
	assert_true(watch_find_word("root= x", "root", 0, value, sizeof(value)));
	assert_string_equal(value, "");
	assert_int_equal(watch_root_disk("root=/dev/vdb2"), 1);
	assert_int_equal(watch_root_disk("root=/dev/sda"), -1);
	assert_int_equal(watch_root_disk("root=/dev/vd"), -1);
	assert_int_equal(watch_root_disk(NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sleepers_are_idle),
		cmocka_unit_test(processors_that_were_not_started_do_not_count),
		cmocka_unit_test(programs_are_busy),
		cmocka_unit_test(copies_are_busy),
		cmocka_unit_test(code_that_moves_on_is_busy),
		cmocka_unit_test(one_that_slept_once_does_not_spin),
		cmocka_unit_test(few_samples_prove_nothing),
		cmocka_unit_test(a_kernel_told_to_poll_may),
		cmocka_unit_test(asking_a_device_is_waiting),
		cmocka_unit_test(deaf_sleepers_are_halted_for_good),
		cmocka_unit_test(loops_spin),
		cmocka_unit_test(accesses_to_nothing_are_a_storm),
		cmocka_unit_test(an_interpreting_kvm_is_named),
		cmocka_unit_test(panics_come_first),
		cmocka_unit_test(a_root_that_never_comes),
		cmocka_unit_test(output_that_nobody_sees),
		cmocka_unit_test(console_words_are_compared),
		cmocka_unit_test(what_a_screen_shows_is_not_known),
		cmocka_unit_test(a_console_without_its_driver),
		cmocka_unit_test(words_of_a_command_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
