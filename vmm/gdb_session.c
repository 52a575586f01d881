/*
 * See gdb_session.h: what a debugger asks about the machine as a whole, and running and stopping.
 */
#include "vmm/gdb_session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
	SAY_MAX = 512, /* bytes of text in one packet */
};

static unsigned cpu_count(const struct gdb_session *session)
{
	return MIN(
		session->target->ops->cpu_count(session->target->opaque), (unsigned)GDB_CPUS_MAX);
}

/* ---- Registers that were read ---- */

void gdb_session_forget_regs(struct gdb_session *session)
{
	session->has_regs = false;
}

const struct cpu_regs *gdb_session_regs(struct gdb_session *session, unsigned cpu)
{
	const struct gdb_target *target = session->target;

	if (cpu >= cpu_count(session))
		return NULL;
	if (session->has_regs && session->regs_cpu == cpu)
		return &session->regs;
	session->has_regs = target->ops->get_regs(target->opaque, cpu, &session->regs) >= 0;
	session->regs_cpu = cpu;
	return session->has_regs ? &session->regs : NULL;
}

/* The widest code that any processor runs: those that wait to be started are in real mode. */
static enum cpu_mode find_mode(struct gdb_session *session)
{
	enum cpu_mode mode = CPU_MODE_16;

	if (session->has_fixed_mode)
		return session->fixed_mode;
	for (unsigned i = 0; i < cpu_count(session) && mode != CPU_MODE_64; i++) {
		const struct cpu_regs *regs = gdb_session_regs(session, i);

		if (regs)
			mode = MAX(mode, gdb_regs_mode(regs));
	}
	return mode;
}

/* ---- Stops ---- */

void gdb_session_say(struct gdb_session *session, const char *text, size_t len)
{
	for (size_t done = 0; done < len;) {
		size_t part = MIN(len - done, (size_t)SAY_MAX);

		gdb_out_begin(&session->out);
		gdb_out_text(&session->out, "O");
		gdb_out_hex(&session->out, text + done, part);
		gdb_out_end(&session->out);
		done += part;
	}
}

static void say_mode(struct gdb_session *session)
{
	static const char *const names[] = {
		[CPU_MODE_16] = "16", [CPU_MODE_32] = "32", [CPU_MODE_64] = "64"};
	enum cpu_mode mode = find_mode(session);
	char text[200];
	int len;

	if (mode == session->told_mode)
		return;
	session->told_mode = mode;
	if (mode == session->mode)
		return;
	len = snprintf(text, sizeof(text),
		"The guest runs %s-bit code now, and gdb still takes it for %s-bit code.\n"
		"To show it as what it is: unset tdesc filename\n",
		names[mode], names[session->mode]);
	gdb_session_say(session, text, (size_t)len);
}

/* `reason`: "swbreak:;", or "". */
PRINTF_LIKE(4, 5)
static void report_stop(
	struct gdb_session *session, unsigned cpu, enum gdb_signal signal, const char *reason, ...)
{
	char why[48];
	va_list list;

	va_start(list, reason);
	vsnprintf(why, sizeof(why), reason, list);
	va_end(list);
	snprintf(session->stop_reply, sizeof(session->stop_reply), "T%02x%sthread:%x;",
		(unsigned)signal, why, cpu + 1);
	session->stop_cpu = session->cpu = cpu;
	gdb_session_forget_regs(session);
	if (!session->waits)
		return;
	say_mode(session);
	session->waits = false;
	gdb_out_packet(&session->out, session->stop_reply);
}

static void report_trap(struct gdb_session *session, unsigned cpu, const struct gdb_trap *trap)
{
	static const char *const words[GDB_BREAK_KINDS] = {[GDB_WATCH_WRITE] = "watch",
		[GDB_WATCH_READ] = "rwatch",
		[GDB_WATCH_ACCESS] = "awatch"};
	const char *word = words[trap->kind];

	if (word)
		report_stop(session, cpu, GDB_SIGNAL_TRAP, "%s:%llx;", word,
			(unsigned long long)trap->address);
	else if (trap->kind == GDB_BREAK_SOFT)
		report_stop(session, cpu, GDB_SIGNAL_TRAP, "%s",
			session->knows_swbreak ? "swbreak:;" : "");
	else
		report_stop(session, cpu, GDB_SIGNAL_TRAP, "%s",
			session->knows_hwbreak ? "hwbreak:;" : "");
}

/* What one processor stopped for; false when the debugger has no interest in it any more. */
static bool report_cpu(struct gdb_session *session, unsigned cpu, const struct vcpu_stop *stop)
{
	const struct gdb_trap *trap;

	switch (stop->kind) {
	case VCPU_STOP_STEP:
		report_stop(session, cpu, GDB_SIGNAL_TRAP, "%s", "");
		return true;
	case VCPU_STOP_BREAK:
		report_stop(session, cpu, GDB_SIGNAL_TRAP, "%s",
			session->knows_swbreak ? "swbreak:;" : "");
		return true;
	case VCPU_STOP_TRAP:
		trap = gdb_breaks_find_trap(&session->breaks, &stop->trap);
		if (trap)
			report_trap(session, cpu, trap);
		return trap;
	default:
		return false;
	}
}

/* All stand still. True when one of them has stopped for the debugger, which was told. */
static bool find_stop(struct gdb_session *session)
{
	const struct gdb_target *target = session->target;

	/* One at a time; a processor that stands at a breakpoint will come to it again. */
	for (unsigned i = 0; session->waits && i < cpu_count(session); i++) {
		struct vcpu_stop stop = target->ops->take_stop(target->opaque, i);

		if (stop.kind != VCPU_STOP_NONE && report_cpu(session, i, &stop))
			return true;
	}
	return !session->waits;
}

void gdb_session_look(struct gdb_session *session)
{
	const struct gdb_target *target = session->target;

	if (!session->waits)
		return;
	target->ops->stop(target->opaque);
	if (!find_stop(session))
		target->ops->run(target->opaque, session->runs);
}

void gdb_session_note_stop(
	struct gdb_session *session, unsigned cpu, enum gdb_signal signal, const char *text)
{
	if (session->waits && text)
		gdb_session_say(session, text, strlen(text));
	report_stop(session, cpu, signal, "%s", "");
}

void gdb_session_note_reset(struct gdb_session *session)
{
	gdb_breaks_forget(&session->breaks);
	memset(session->debug, 0, sizeof(session->debug));
	gdb_session_note_stop(session, 0, GDB_SIGNAL_TRAP, "The guest was reset.\n");
}

void gdb_session_note_exit(struct gdb_session *session, int status)
{
	if (session->waits) {
		session->waits = false;
		gdb_out_begin(&session->out);
		gdb_out_text(&session->out, "W%02x", (unsigned)status & 0xff);
		gdb_out_end(&session->out);
	}
	session->is_over = true;
}

/* ---- Running ---- */

enum action {
	ACTION_NONE,
	ACTION_STAY,
	ACTION_CONTINUE,
	ACTION_STEP,
};

static int set_debug(struct gdb_session *session, unsigned cpu, bool step)
{
	const struct gdb_target *target = session->target;
	const struct gdb_breaks *breaks = &session->breaks;
	struct vcpu_debug debug = {
		.trap_count = breaks->trap_count, .step = step, .breaks = breaks->soft_count > 0};

	/* A step is asked for each time: the guest may have changed its flags in the last. */
	if (session->debug[cpu].is_set && !step && !session->debug[cpu].step &&
		!breaks->trap_count && session->debug[cpu].generation == breaks->generation)
		return 0;
	for (unsigned i = 0; i < breaks->trap_count; i++)
		debug.traps[i] = breaks->traps[i].trap;
	session->debug[cpu].is_set = true;
	session->debug[cpu].step = step;
	session->debug[cpu].generation = breaks->generation;
	return target->ops->set_debug(target->opaque, cpu, &debug);
}

static void run(struct gdb_session *session, const enum action *actions)
{
	const struct gdb_target *target = session->target;
	int ret = 0;

	for (unsigned i = 0; ret >= 0 && i < cpu_count(session); i++) {
		session->runs[i] = actions[i] == ACTION_CONTINUE || actions[i] == ACTION_STEP;
		if (session->runs[i])
			ret = set_debug(session, i, actions[i] == ACTION_STEP);
	}
	if (ret < 0) {
		gdb_session_reply_errno(session, ret);
		return;
	}
	gdb_session_forget_regs(session);
	session->waits = true;
	/* A watchpoint that another processor had hit at the same time. */
	if (!find_stop(session))
		target->ops->run(target->opaque, session->runs);
}

/* "1", "-1", "0" (any), "p1.2": sets *cpu, or *is_all. Moves *text behind it. */
static bool read_thread(
	const struct gdb_session *session, const char **text, unsigned *cpu, bool *is_all)
{
	uint64_t id;

	*is_all = false;
	if (**text == 'p') {
		const char *dot = strchr(*text, '.');

		if (!dot)
			return false;
		*text = dot + 1;
	}
	if (!strncmp(*text, "-1", 2)) {
		*text += 2;
		*is_all = true;
		return true;
	}
	if (!gdb_read_hex(text, &id) || id > cpu_count(session))
		return false;
	*is_all = id == 0;
	*cpu = id ? (unsigned)id - 1 : session->cpu;
	return true;
}

static enum action read_action(const char **text)
{
	char letter = *(*text)++;
	uint64_t signal;

	/* With a signal, which a machine has no use for. */
	if ((letter == 'C' || letter == 'S') && !gdb_read_hex(text, &signal))
		return ACTION_NONE;
	switch (letter) {
	case 'c':
	case 'C':
		return ACTION_CONTINUE;
	case 's':
	case 'S':
		return ACTION_STEP;
	case 't':
		return ACTION_STAY;
	default:
		return ACTION_NONE;
	}
}

/* ";s:1;c": for each thread the leftmost action that names it. */
static void run_vcont(struct gdb_session *session, const char *text)
{
	enum action actions[GDB_CPUS_MAX] = {ACTION_NONE};

	while (*text == ';') {
		bool is_all = true;
		unsigned cpu = 0;
		enum action action;

		text++;
		action = *text ? read_action(&text) : ACTION_NONE;
		if (action != ACTION_NONE && *text == ':') {
			text++;
			if (!read_thread(session, &text, &cpu, &is_all))
				action = ACTION_NONE;
		}
		if (action == ACTION_NONE) {
			gdb_session_reply_errno(session, -EINVAL);
			return;
		}
		for (unsigned i = 0; i < cpu_count(session); i++)
			if (actions[i] == ACTION_NONE && (is_all || i == cpu))
				actions[i] = action;
	}
	if (*text)
		gdb_session_reply_errno(session, -EINVAL);
	else
		run(session, actions);
}

/* The old "c" and "s", which newer debuggers don't use. */
static void run_plain(struct gdb_session *session, bool step)
{
	enum action actions[GDB_CPUS_MAX] = {ACTION_NONE};

	for (unsigned i = 0; i < cpu_count(session); i++)
		actions[i] = step ? ACTION_STAY : ACTION_CONTINUE;
	if (step && session->cpu < cpu_count(session))
		actions[session->cpu] = ACTION_STEP;
	run(session, actions);
}

static void interrupt(struct gdb_session *session)
{
	if (!session->waits)
		return;
	session->target->ops->stop(session->target->opaque);
	/* Perhaps one stopped by itself just now. */
	if (!find_stop(session))
		report_stop(session, MIN(session->cpu, cpu_count(session) - 1), GDB_SIGNAL_INT,
			"%s", "");
}

/* ---- Queries ---- */

PRINTF_LIKE(2, 3)
static void add_text(struct gdb_text *text, const char *format, ...)
{
	va_list list;
	int n;

	va_start(list, format);
	n = vsnprintf(text->bytes + text->len, sizeof(text->bytes) - text->len, format, list);
	va_end(list);
	if (n > 0)
		text->len = MIN(text->len + (size_t)n, sizeof(text->bytes) - 1);
}

static void describe_cpu(struct gdb_session *session, unsigned cpu, char *text, size_t size)
{
	static const char *const activities[] = {
		[CPU_RUNS] = "",
		[CPU_HALTED] = ", halted",
		[CPU_WAITS_FOR_INIT] = ", not started",
		[CPU_WAITS_FOR_SIPI] = ", waits for SIPI",
	};
	const struct cpu_regs *regs = gdb_session_regs(session, cpu);

	snprintf(text, size, "%s%s", regs ? gdb_regs_mode_name(regs) : "?",
		regs ? activities[regs->activity] : "");
}

static void make_threads(struct gdb_session *session)
{
	struct gdb_text *text = &session->text;
	char what[64];

	add_text(text, "<?xml version=\"1.0\"?>\n<threads>\n");
	for (unsigned i = 0; i < cpu_count(session); i++) {
		describe_cpu(session, i, what, sizeof(what));
		add_text(text, "<thread id=\"%x\" core=\"%u\" name=\"CPU %u\">%s</thread>\n", i + 1,
			i, i, what);
	}
	add_text(text, "</threads>\n");
}

/* "OFFSET,LENGTH" of an object, which is made when its begin is asked for. */
static void send_object(struct gdb_session *session, char object, const char *args)
{
	struct gdb_text *text = &session->text;
	uint64_t offset, len;

	if (!gdb_read_hex_to(&args, ',', &offset) || !gdb_read_hex(&args, &len) || *args) {
		gdb_session_reply_errno(session, -EINVAL);
		return;
	}
	if (!offset || session->text_object != object) {
		session->text_object = object;
		text->len = 0;
		if (object == 't') {
			make_threads(session);
		} else {
			session->mode = session->told_mode = find_mode(session);
			text->len =
				gdb_regs_describe(session->mode, text->bytes, sizeof(text->bytes));
		}
	}
	offset = MIN(offset, (uint64_t)text->len);
	len = MIN(len, text->len - offset);
	len = MIN(len, (uint64_t)GDB_PACKET_MAX / 2);
	gdb_out_begin(&session->out);
	gdb_out_text(&session->out, "%c", offset + len == text->len ? 'l' : 'm');
	gdb_out_put(&session->out, text->bytes + offset, len);
	gdb_out_end(&session->out);
}

static void answer_supported(struct gdb_session *session, const char *features)
{
	session->knows_swbreak = strstr(features, "swbreak+");
	session->knows_hwbreak = strstr(features, "hwbreak+");
	gdb_out_begin(&session->out);
	gdb_out_text(&session->out,
		"PacketSize=%x;qXfer:features:read+;qXfer:threads:read+;QStartNoAckMode+;"
		"vContSupported+;swbreak+;hwbreak+",
		GDB_PACKET_MAX);
	gdb_out_end(&session->out);
}

static void list_threads(struct gdb_session *session)
{
	gdb_out_begin(&session->out);
	for (unsigned i = 0; i < cpu_count(session); i++)
		gdb_out_text(&session->out, "%c%x", i ? ',' : 'm', i + 1);
	gdb_out_end(&session->out);
}

static void answer_extra_info(struct gdb_session *session, const char *args)
{
	unsigned cpu;
	bool is_all;
	char text[80];
	int len;

	if (!read_thread(session, &args, &cpu, &is_all) || is_all) {
		gdb_session_reply_errno(session, -EINVAL);
		return;
	}
	len = snprintf(text, sizeof(text), "CPU %u: ", cpu);
	describe_cpu(session, cpu, text + len, sizeof(text) - (size_t)len);
	gdb_out_begin(&session->out);
	gdb_out_hex(&session->out, text, strlen(text));
	gdb_out_end(&session->out);
}

static void run_monitor(struct gdb_session *session, const char *hex)
{
	char line[200];
	size_t len = strlen(hex) / 2;

	if (len >= sizeof(line) || strlen(hex) % 2 || !gdb_read_bytes(hex, line, len)) {
		gdb_session_reply_errno(session, -EINVAL);
		return;
	}
	line[len] = '\0';
	gdb_monitor_run(session, line);
	gdb_session_reply_errno(session, 0);
}

/* The words behind `name`, or NULL when the packet is another. */
static const char *behind(const char *packet, const char *name)
{
	size_t len = strlen(name);

	return strncmp(packet, name, len) ? NULL : packet + len;
}

static bool answer_query(struct gdb_session *session, const char *packet)
{
	const char *args;

	if ((args = behind(packet, "qSupported"))) {
		answer_supported(session, args);
	} else if ((args = behind(packet, "qXfer:features:read:target.xml:"))) {
		send_object(session, 'f', args);
	} else if ((args = behind(packet, "qXfer:threads:read::"))) {
		send_object(session, 't', args);
	} else if (behind(packet, "qXfer:features:read:")) {
		gdb_out_packet(&session->out, "E00"); /* no such annex */
	} else if ((args = behind(packet, "qRcmd,"))) {
		run_monitor(session, args);
	} else if ((args = behind(packet, "qThreadExtraInfo,"))) {
		answer_extra_info(session, args);
	} else if (!strcmp(packet, "qfThreadInfo")) {
		list_threads(session);
	} else if (!strcmp(packet, "qsThreadInfo")) {
		gdb_out_packet(&session->out, "l");
	} else if (!strcmp(packet, "qC")) {
		gdb_out_begin(&session->out);
		gdb_out_text(&session->out, "QC%x", session->cpu + 1);
		gdb_out_end(&session->out);
	} else if (behind(packet, "qAttached")) {
		gdb_out_packet(&session->out, "1"); /* it was there before: quitting leaves it */
	} else if (behind(packet, "qSymbol:")) {
		gdb_out_packet(&session->out, "OK");
	} else if (!strcmp(packet, "QStartNoAckMode")) {
		gdb_session_reply_errno(session, 0);
		session->no_ack = true;
	} else {
		return false;
	}
	return true;
}

/* ---- Packets ---- */

static void choose_thread(struct gdb_session *session, const char *args)
{
	unsigned cpu = session->cpu;
	bool is_all;

	if ((*args != 'g' && *args != 'c') || (args++, !read_thread(session, &args, &cpu, &is_all)))
		gdb_session_reply_errno(session, -EINVAL);
	else {
		if (args[0] == '\0' && !is_all)
			session->cpu = cpu;
		gdb_session_reply_errno(session, 0);
	}
}

static void answer_is_alive(struct gdb_session *session, const char *args)
{
	unsigned cpu;
	bool is_all;

	gdb_session_reply_errno(session, read_thread(session, &args, &cpu, &is_all) ? 0 : -ESRCH);
}

/* What can be said while the machine runs, too. */
static bool run_any_time(struct gdb_session *session, const char *packet)
{
	const struct gdb_target *target = session->target;

	if (packet[0] == 'D') {
		session->is_over = true;
		gdb_session_reply_errno(session, 0);
	} else if (packet[0] == 'k' || behind(packet, "vKill")) {
		session->is_over = session->has_killed = true;
		if (packet[0] == 'v')
			gdb_session_reply_errno(session, 0);
		target->ops->kill(target->opaque);
	} else if (!strcmp(packet, "vCtrlC")) {
		gdb_session_reply_errno(session, 0);
		interrupt(session);
	} else {
		return false;
	}
	return true;
}

static void handle_packet(struct gdb_session *session, const char *packet, size_t len)
{
	const char *args;

	if (run_any_time(session, packet) || session->waits)
		return;
	if (gdb_session_data_packet(session, packet, len) || answer_query(session, packet))
		return;
	if (!strcmp(packet, "?"))
		gdb_out_packet(&session->out, session->stop_reply);
	else if (packet[0] == 'H')
		choose_thread(session, packet + 1);
	else if (packet[0] == 'T')
		answer_is_alive(session, packet + 1);
	else if (!strcmp(packet, "vCont?"))
		gdb_out_packet(&session->out, "vCont;c;C;s;S");
	else if ((args = behind(packet, "vCont;")))
		run_vcont(session, args - 1);
	else if (!strcmp(packet, "c") || !strcmp(packet, "s"))
		run_plain(session, packet[0] == 's');
	else
		gdb_out_packet(&session->out, ""); /* what there is not */
}

static void handle_event(struct gdb_session *session, enum gdb_input_event event)
{
	switch (event) {
	case GDB_INPUT_PACKET:
		if (!session->no_ack)
			gdb_out_ack(&session->out, '+');
		handle_packet(session, (const char *)session->input.data, session->input.len);
		break;
	case GDB_INPUT_LONG:
		if (!session->no_ack)
			gdb_out_ack(&session->out, '+');
		if (!session->waits)
			gdb_session_reply_errno(session, -E2BIG);
		break;
	case GDB_INPUT_BAD:
		if (!session->no_ack)
			gdb_out_ack(&session->out, '-');
		break;
	case GDB_INPUT_AGAIN:
		gdb_out_again(&session->out);
		break;
	case GDB_INPUT_STOP:
		interrupt(session);
		break;
	case GDB_INPUT_STRANGE:
		session->is_over = true;
		break;
	default:
		break;
	}
}

size_t gdb_session_feed(struct gdb_session *session, const void *bytes, size_t len)
{
	const uint8_t *from = bytes;

	for (size_t i = 0; i < len; i++) {
		enum gdb_input_event event = gdb_input_take(&session->input, from[i]);

		if (event == GDB_INPUT_NONE)
			continue;
		handle_event(session, event);
		return i + 1;
	}
	return len;
}

/* ---- Coming and going ---- */

void gdb_session_begin(struct gdb_session *session)
{
	session->input = (struct gdb_input){.state = GDB_INPUT_BETWEEN};
	session->out.len = session->out.sent = session->out.last_len = 0;
	session->no_ack = session->knows_swbreak = session->knows_hwbreak = false;
	session->waits = session->is_over = session->has_killed = false;
	session->text_object = 0;
	memset(session->debug, 0, sizeof(session->debug));
	session->target->ops->stop(session->target->opaque);
	report_stop(session, 0, GDB_SIGNAL_TRAP, "%s", "");
	session->mode = session->told_mode = find_mode(session);
}

void gdb_session_end(struct gdb_session *session)
{
	const struct gdb_target *target = session->target;
	const struct vcpu_debug none = {.trap_count = 0};

	/* Memory is changed only while nobody runs. */
	target->ops->stop(target->opaque);
	gdb_breaks_clear(&session->breaks, target);
	for (unsigned i = 0; i < cpu_count(session); i++) {
		if (session->debug[i].is_set)
			target->ops->set_debug(target->opaque, i, &none);
		target->ops->take_stop(target->opaque, i);
		session->runs[i] = true;
	}
	session->waits = false;
	target->ops->run(target->opaque, session->runs);
}
