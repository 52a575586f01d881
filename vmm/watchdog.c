/*
 * See watchdog.h: when to look, and what is said. The facts come from watch_facts.c.
 */
#include "vmm/watchdog.h"

#include <stdlib.h>

#include "vmm/kvm/vcpu_sample.h"
#include "vmm/vm_impl.h"
#include "vmm/watch_facts.h"

#define MS_NS	   UINT64_C(1000000)
#define FIRST_NS   (10 * MS_NS) /* for an answer of processors that sleep */
#define GAP_NS	   (25 * MS_NS)
#define SAME_PLACE 4096

enum {
	SAMPLES_WANTED = 12,
	TICKS_MAX = 40,
	TICKS_MAX_AT_END = 20,
};

/* ---- When to look ---- */

static void arm(struct vm *vm, uint64_t delay_ns)
{
	loop_timer_arm(vm->machine.loop, &vm->watchdog.timer, delay_ns);
}

/* How long it still has to be silent. */
static uint64_t time_left(struct watchdog *watchdog)
{
	uint64_t heard_ns = atomic_load_explicit(&watchdog->heard_ns, memory_order_relaxed);
	uint64_t silence_ns = watchdog->silence_ms * MS_NS, due_ns, now_ns = util_now_ns();

	if (heard_ns != watchdog->seen_heard_ns) {
		watchdog->seen_heard_ns = heard_ns;
		watchdog->backoff = 0;
		watchdog->said = WATCH_UNKNOWN;
	}
	due_ns = watchdog->backoff ? watchdog->looked_ns + silence_ns * watchdog->backoff
				   : heard_ns + silence_ns;
	return due_ns > now_ns ? due_ns - now_ns : 0;
}

static void wait_on(struct vm *vm)
{
	struct watchdog *watchdog = &vm->watchdog;
	uint64_t left_ns;

	if (!watchdog->is_on || vm->state == VM_ENDED)
		return;
	left_ns = time_left(watchdog);
	arm(vm, left_ns ? left_ns : watchdog->silence_ms * MS_NS);
}

/* ---- Looking ---- */

static void stop_looking(struct watchdog *watchdog)
{
	free(watchdog->cpus);
	watchdog->cpus = NULL;
}

static void look(struct vm *vm)
{
	struct watchdog *watchdog = &vm->watchdog;

	watchdog->cpu_count = vm->machine.vcpu_count;
	watchdog->cpus = calloc(MAX(watchdog->cpu_count, 1u), sizeof(*watchdog->cpus));
	if (!watchdog->cpus)
		return;
	watchdog->ticks = 0;
	watchdog->first_ns = util_now_ns();
	for (unsigned i = 0; i < watchdog->cpu_count; i++)
		vcpu_request_sample(vm->machine.vcpus[i]);
	arm(vm, FIRST_NS);
}

/* Takes what has been answered and asks again; true when enough is known. */
static bool take_answers(struct vm *vm)
{
	struct watchdog *watchdog = &vm->watchdog;
	bool all_answered = true, enough = true;
	struct vcpu_sample sample;

	for (unsigned i = 0; i < watchdog->cpu_count; i++) {
		struct watch_cpu *cpu = &watchdog->cpus[i];

		if (vcpu_take_sample(vm->machine.vcpus[i], &sample)) {
			watch_cpu_add(cpu, &sample);
			vcpu_request_sample(vm->machine.vcpus[i]);
		}
		all_answered &= cpu->answers > 0;
		enough &= cpu->answers >= SAMPLES_WANTED;
	}
	return enough || (all_answered && watch_is_asleep(watchdog->cpus, watchdog->cpu_count));
}

/* ---- Saying ---- */

static bool is_said(const struct watchdog *watchdog, const struct watch_verdict *verdict)
{
	uint64_t away = verdict->code > watchdog->said_code ? verdict->code - watchdog->said_code
							    : watchdog->said_code - verdict->code;

	if (watchdog->said != verdict->kind)
		return false;
	return (verdict->kind != WATCH_SPINS && verdict->kind != WATCH_STORM) || away < SAME_PLACE;
}

static void say(struct vm *vm, struct watch_report *report, const char *opening)
{
	bool is_old = is_said(&vm->watchdog, &report->verdict);

	log_warn("%s%s.", opening, report->text);
	if (report->hint[0] && !is_old)
		log_warn("%s.", report->hint);
	vm->watchdog.said = report->verdict.kind;
	vm->watchdog.said_code = report->verdict.code;
}

static void judge(struct vm *vm)
{
	struct watchdog *watchdog = &vm->watchdog;
	struct watch_report report;
	char opening[60];

	watch_report_make(vm, &report);
	stop_looking(watchdog);
	watchdog->looked_ns = util_now_ns();
	watchdog->backoff =
		watchdog->backoff ? MIN(watchdog->backoff * 2, (unsigned)WATCHDOG_BACKOFF_MAX) : 1;
	if (!watch_is_trouble(report.verdict.kind)) {
		log_debug("watchdog: nothing printed, but all is well: %s", report.text);
		return;
	}
	if (is_said(watchdog, &report.verdict))
		return;
	snprintf(opening, sizeof(opening),
		"silent for %g seconds: ", (double)watchdog->silence_ms / 1000);
	say(vm, &report, opening);
	if (!vm->config->watchdog_ends || !watch_is_hung(report.verdict.kind))
		return;
	log_error("the guest hangs; it is ended, as --watchdog %g,exit says",
		(double)watchdog->silence_ms / 1000);
	vm_end(vm, report.verdict.kind == WATCH_PANIC ? EXIT_CODE_PANIC : EXIT_CODE_HUNG);
}

static void tell(struct vm *vm)
{
	void (*then)(struct vm * vm) = vm->watchdog.then;
	struct watch_report report;

	watch_report_make(vm, &report);
	stop_looking(&vm->watchdog);
	vm->watchdog.then = NULL;
	if (report.text[0])
		say(vm, &report, "what it was doing: ");
	then(vm);
}

static void handle_timer(void *opaque)
{
	struct vm *vm = opaque;
	struct watchdog *watchdog = &vm->watchdog;
	unsigned ticks_max = watchdog->then ? TICKS_MAX_AT_END : TICKS_MAX;

	if (vm->state == VM_ENDED)
		return;
	if (!watchdog->cpus) {
		/* Who debugs the guest sees more, and may have stopped it. */
		if (vm->state == VM_RUNNING && !time_left(watchdog) && !vm_debug_is_attached(vm))
			look(vm);
		if (!watchdog->cpus)
			wait_on(vm);
		return;
	}
	if (!take_answers(vm) && ++watchdog->ticks < ticks_max) {
		arm(vm, GAP_NS);
		return;
	}
	if (watchdog->then) {
		tell(vm);
		return;
	}
	if (vm->state == VM_RUNNING)
		judge(vm);
	else
		stop_looking(watchdog);
	wait_on(vm);
}

/* ---- Life ---- */

void watchdog_start(struct vm *vm, bool interactive)
{
	struct watchdog *watchdog = &vm->watchdog;
	const struct vm_config *config = vm->config;

	watchdog->timer = (struct loop_timer){.fn = handle_timer, .opaque = vm};
	watchdog->silence_ms = config->has_watchdog ? config->watchdog_ms
		: interactive && !config->quiet	    ? WATCHDOG_DEFAULT_MS
						    : 0;
	watchdog->is_on = watchdog->silence_ms;
	if (!watchdog->is_on)
		return;
	watchdog_hear(watchdog);
	wait_on(vm);
}

void watchdog_hear(struct watchdog *watchdog)
{
	if (watchdog->is_on)
		atomic_store_explicit(&watchdog->heard_ns, util_now_ns(), memory_order_relaxed);
}

void watchdog_forget(struct vm *vm)
{
	struct watchdog *watchdog = &vm->watchdog;

	stop_looking(watchdog);
	loop_timer_cancel(&watchdog->timer);
	watchdog_hear(watchdog);
	wait_on(vm);
}

void watchdog_finish(struct watchdog *watchdog)
{
	stop_looking(watchdog);
}

void watchdog_tell(struct vm *vm, void (*then)(struct vm *vm))
{
	stop_looking(&vm->watchdog);
	vm->watchdog.then = then;
	look(vm);
	if (!vm->watchdog.cpus)
		then(vm);
}

void watchdog_say_place(struct vm *vm, const char *what, uint64_t code)
{
	char symbol[WATCH_SYMBOL_MAX];

	if (watch_find_symbol(vm, code, symbol, sizeof(symbol)))
		log_error("%s is in %s", what, symbol);
}
