/*
 * gdb_session and gdb_break: a debugger's commands on a machine without KVM.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>

#include "tests/fake/fake_debugged.h"
#include "vmm/base/util.h"

static struct fake_debugged fake;
static struct gdb_session *session;
static char answers[GDB_OUT_MAX + 1];

static void begin_with(unsigned cpus)
{
	fake_debugged_init(&fake, cpus);
	session->target = &fake.target;
	gdb_session_begin(session);
}

static int setup(void **state)
{
	(void)state;
	session = calloc(1, sizeof(*session));
	assert_non_null(session);
	begin_with(2);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(session);
	fake_debugged_finish(&fake);
	return 0;
}

/* What was answered, frames and all, and takes it away. */
static const char *take_answers(void)
{
	memcpy(answers, session->out.bytes, session->out.len);
	answers[session->out.len] = '\0';
	session->out.len = session->out.sent = 0;
	return answers;
}

static void send_packet(const char *text)
{
	char frame[GDB_PACKET_MAX + 8];
	uint8_t sum = 0;
	int len;

	for (const char *p = text; *p; p++)
		sum = (uint8_t)(sum + (uint8_t)*p);
	len = snprintf(frame, sizeof(frame), "$%s#%02x", text, sum);
	assert_int_equal(gdb_session_feed(session, frame, (size_t)len), len);
}

/* The data of the one packet that answers. */
static const char *ask(const char *text)
{
	static char data[GDB_OUT_MAX];
	const char *from, *end;

	send_packet(text);
	from = take_answers();
	from += *from == '+';
	assert_int_equal(*from, '$');
	end = strrchr(from, '#');
	assert_non_null(end);
	snprintf(data, sizeof(data), "%.*s", (int)(end - from - 1), from + 1);
	return data;
}

/* The last packet, whatever came before it. */
static void expect_answer(const char *text)
{
	const char *from = strrchr(take_answers(), '$');

	assert_non_null(from);
	assert_memory_equal(from + 1, text, strlen(text));
	assert_int_equal(from[1 + strlen(text)], '#');
}

#define ASK(text, answer) assert_string_equal(ask(text), answer)

static void poke(gpa_t gpa, uint8_t value)
{
	assert_int_equal(gmem_write(&fake.mem, gpa, &value, 1), 0);
}

static uint8_t peek(gpa_t gpa)
{
	uint8_t value;

	assert_int_equal(gmem_read(&fake.mem, gpa, &value, 1), 0);
	return value;
}

/* ---- Greetings ---- */

static void a_debugger_comes_and_goes(void **state)
{
	(void)state;
	assert_false(fake.runs);
	ASK("qSupported:swbreak+;hwbreak+;xmlRegisters=i386",
		"PacketSize=2000;qXfer:features:read+;qXfer:threads:read+;QStartNoAckMode+;"
		"vContSupported+;swbreak+;hwbreak+");
	ASK("vMustReplyEmpty", "");
	ASK("QStartNoAckMode", "OK");
	ASK("?", "T05thread:1;");
	ASK("qAttached", "1");
	ASK("D", "OK");
	assert_true(session->is_over);
	gdb_session_end(session);
	assert_true(fake.runs && fake.runs_cpu[0] && fake.runs_cpu[1]);
}

static void strangers_are_cut_off(void **state)
{
	(void)state;
	assert_int_equal(gdb_session_feed(session, "GET / HTTP/1.1\r\n", 16), 1);
	assert_true(session->is_over);
	assert_int_equal(session->out.len, 0);
}

static void bad_frames_are_asked_for_again(void **state)
{
	(void)state;
	gdb_session_feed(session, "$g#00", 5);
	assert_string_equal(take_answers(), "-");
	ASK("qC", "QC1");
	gdb_session_feed(session, "-", 1);
	assert_string_equal(take_answers(), "$QC1#c5");
}

static void threads_are_processors(void **state)
{
	(void)state;
	fake_debugged_real_mode(&fake, 1);
	fake.regs[1].activity = CPU_WAITS_FOR_INIT;
	ASK("qfThreadInfo", "m1,2");
	ASK("qsThreadInfo", "l");
	ASK("T2", "OK");
	ASK("T3", "E03");
	ASK("Hg2", "OK");
	ASK("qC", "QC2");
	ASK("Hg-1", "OK");
	ASK("Hgp1.1", "OK");
	ASK("qC", "QC1");
	ASK("Hx1", "E16");
	ASK("qXfer:threads:read::0,fff",
		"l<?xml version=\"1.0\"?>\n<threads>\n"
		"<thread id=\"1\" core=\"0\" name=\"CPU 0\">64-bit code</thread>\n"
		"<thread id=\"2\" core=\"1\" name=\"CPU 1\">16-bit real mode, not "
		"started</thread>\n"
		"</threads>\n");
}

static void objects_come_in_parts(void **state)
{
	char *whole = malloc(GDB_TEXT_MAX), word[64];
	size_t len;

	(void)state;
	assert_non_null(whole);
	gdb_regs_describe(CPU_MODE_64, whole, GDB_TEXT_MAX);
	len = strlen(whole);
	snprintf(word, sizeof(word), "qXfer:features:read:target.xml:%zx,10", len - 16);
	assert_string_equal(ask(word) + 1, whole + len - 16);
	assert_int_equal(ask(word)[0], 'l');
	assert_int_equal(ask("qXfer:features:read:target.xml:0,20")[0], 'm');
	ASK("qXfer:features:read:target.xml:ffffffffffffffff,10", "l");
	ASK("qXfer:features:read:other.xml:0,10", "E00");
	ASK("qXfer:features:read:target.xml:0", "E16");
	free(whole);
}

/* ---- Registers ---- */

static void registers(void **state)
{
	char packet[GDB_REGS_BYTES_MAX * 2 + 2] = "G";

	(void)state;
	fake.regs[0].gpr[CPU_RAX] = 0x1122;
	gdb_session_forget_regs(session);
	assert_int_equal(strlen(ask("g")), gdb_regs_bytes(CPU_MODE_64) * 2);
	assert_memory_equal(ask("g"), "2211000000000000", 16);
	ASK("p10", "0000010000000000");
	ASK("P10=7856341200000000", "OK");
	assert_int_equal(fake.regs[0].rip, 0x12345678);
	strcat(packet, ask("g"));
	memcpy(packet + 1, "aa", 2);
	ASK(packet, "OK");
	assert_int_equal(fake.regs[0].gpr[CPU_RAX], 0x11aa);
	assert_int_equal(fake.regs[1].gpr[CPU_RAX], 0);
	ASK("Hg2", "OK");
	ASK("P0=0100000000000000", "OK");
	assert_int_equal(fake.regs[1].gpr[CPU_RAX], 1);
	/* What is none, or too short, or too long. */
	ASK("pff", "E16");
	ASK("P0=01", "E16");
	ASK("P0=010000000000000000", "E16");
	ASK("P0=zz00000000000000", "E16");
	ASK("G00", "E16");
	fake.set_regs_result = -EINVAL;
	ASK("P0=0200000000000000", "E16");
	ASK("p0", "0100000000000000");
}

static void description_follows_the_mode(void **state)
{
	(void)state;
	fake_debugged_real_mode(&fake, 0);
	fake_debugged_real_mode(&fake, 1);
	gdb_session_begin(session);
	assert_non_null(strstr(ask("qXfer:features:read:target.xml:0,fff"), "i8086"));
	ASK("p8", "f0ffffff");
	/* It has reached 64-bit code: it is told once, before the stop, and can ask again. */
	send_packet("vCont;c");
	take_answers();
	fake.regs[0] = (struct cpu_regs){.efer = 1 << 10,
		.cr0 = 1,
		.segments[CPU_CS].access = CPU_ACCESS_LONG,
		.rip = 0x1000};
	fake.stops[0].kind = VCPU_STOP_BREAK;
	gdb_session_look(session);
	assert_memory_equal(take_answers(), "$O546865206775657374", 20); /* "The guest" */
	assert_non_null(strstr(answers, "$T05thread:1;#"));
	ASK("p8", "00100000");
	assert_non_null(strstr(ask("qXfer:features:read:target.xml:0,fff"), "i386:x86-64"));
	ASK("p10", "0010000000000000");
	send_packet("vCont;s:1");
	take_answers();
	fake.stops[0].kind = VCPU_STOP_STEP;
	gdb_session_look(session);
	expect_answer("T05thread:1;");
}

static void description_can_be_fixed(void **state)
{
	(void)state;
	session->has_fixed_mode = true;
	session->fixed_mode = CPU_MODE_32;
	gdb_session_begin(session);
	assert_non_null(strstr(ask("qXfer:features:read:target.xml:0,fff"), ">i386<"));
}

/* ---- Memory ---- */

static void memory(void **state)
{
	static char packet[GDB_PACKET_MAX + 1];

	(void)state;
	poke(0x20000, 0xab);
	poke(0x20001, 0xcd);
	ASK("m20000,2", "abcd");
	ASK("mffff800000020000,2", "abcd");
	/* Across the end of what is mapped; nothing there; no address at all. */
	ASK("m1fffff,2", "00");
	ASK("m200000,2", "E0e");
	ASK("m8000000000000000,2", "E0e");
	ASK("mffffffffffffffff,2", "E0e");
	ASK("m,2", "E16");
	ASK("m20000", "E16");
	ASK("m20000,0", "");
	assert_int_equal(strlen(ask("m0,ffffffff")), GDB_MEMORY_MAX * 2);
	ASK("M20000,2:1234", "OK");
	assert_int_equal(peek(0x20000), 0x12);
	assert_int_equal(peek(0x20001), 0x34);
	ASK("M20000,2:123", "E16");
	ASK("M20000,2:12345", "E16");
	ASK("M200000,1:12", "E0e");
	ASK("X20000,0:", "OK");
	ASK("X20000,2:}]z", "OK");
	assert_int_equal(peek(0x20000), '}');
	assert_int_equal(peek(0x20001), 'z');
	ASK("X20000,3:ab", "E16");
	ASK("Xffffffffffffffff,2:ab", "E0e");
	memset(packet, '0', GDB_PACKET_MAX);
	memcpy(packet, "M20000,", 7);
	ASK(packet, "E16");
}

static void device_memory_is_memory(void **state)
{
	const uint64_t entry = 0xd0000000 | 0x83;

	(void)state;
	/* 0x40000000 leads to the device. */
	gmem_write(&fake.mem, 0x3000 + 8, &entry, 8);
	ASK("M200010,2:beef", "OK");
	assert_int_equal(fake.device[0x10], 0xbe);
	ASK("m200010,2", "beef");
	ASK("m200fff,2", "00");
	/* No breakpoint there: it is no RAM. It gets a debug register instead. */
	ASK("Z0,200010,1", "OK");
	assert_int_equal(session->breaks.soft_count, 0);
	assert_int_equal(session->breaks.trap_count, 1);
}

/* ---- Breakpoints ---- */

static void breaks_are_not_seen(void **state)
{
	(void)state;
	poke(0x20000, 0x90);
	poke(0x20001, 0x91);
	ASK("Z0,20000,1", "OK");
	ASK("Z0,20000,1", "OK");
	assert_int_equal(session->breaks.soft_count, 1);
	assert_int_equal(peek(0x20000), 0xcc);
	ASK("m20000,2", "9091");
	ASK("mffff800000020000,2", "9091");
	/* What is written goes under it. */
	ASK("M20000,2:5556", "OK");
	assert_int_equal(peek(0x20000), 0xcc);
	assert_int_equal(peek(0x20001), 0x56);
	ASK("m20000,2", "5556");
	ASK("z0,20000,1", "OK");
	assert_int_equal(peek(0x20000), 0x55);
	ASK("z0,20000,1", "OK");
}

/* The same byte by two addresses: the last to go puts it back. */
static void aliases_share_a_byte(void **state)
{
	struct page_walk_regs walk = gdb_walk_regs(&fake.regs[0]);

	(void)state;
	poke(0x20000, 0x90);
	ASK("Z0,20000,1", "OK");
	ASK("Z0,ffff800000020000,1", "OK");
	ASK("z0,20000,1", "OK");
	assert_int_equal(peek(0x20000), 0xcc);
	assert_true(gdb_breaks_has(&session->breaks, &fake.target, &walk, FAKE_HIGH + 0x20000));
	assert_true(gdb_breaks_has(&session->breaks, &fake.target, &walk, 0x20000));
	assert_false(gdb_breaks_has(&session->breaks, &fake.target, &walk, 0x20001));
	ASK("z0,ffff800000020000,1", "OK");
	assert_int_equal(peek(0x20000), 0x90);
}

/* A guest that changes its own code meanwhile keeps its change. */
static void changed_code_is_left_alone(void **state)
{
	(void)state;
	poke(0x20000, 0x90);
	ASK("Z0,20000,1", "OK");
	poke(0x20000, 0xe9);
	ASK("m20000,1", "e9");
	ASK("z0,20000,1", "OK");
	assert_int_equal(peek(0x20000), 0xe9);
}

static void unmapped_breaks_take_registers(void **state)
{
	(void)state;
	ASK("Z0,ffffffff81000000,1", "OK");
	assert_int_equal(session->breaks.soft_count, 0);
	assert_int_equal(session->breaks.traps[0].trap.kind, VCPU_TRAP_EXECUTE);
	ASK("z0,ffffffff81000000,1", "OK");
	assert_int_equal(session->breaks.trap_count, 0);
	/* A Linux kernel that has not made its page tables yet. */
	fake.linux_cr3 = FAKE_CR3;
	poke(0x100000, 0x90);
	ASK("mffffffff80100000,1", "90");
	ASK("Z0,ffffffff80100000,1", "OK");
	assert_int_equal(peek(0x100000), 0xcc);
	ASK("z0,ffffffff80100000,1", "OK");
	fake.target.has_int3 = false;
	ASK("Z0,20000,1", "OK");
	assert_int_equal(session->breaks.trap_count, 1);
}

static void four_registers_and_no_more(void **state)
{
	(void)state;
	ASK("Z1,1000,1", "OK");
	ASK("Z2,2001,3", "OK"); /* one byte and two */
	ASK("Z4,3000,8", "OK");
	assert_int_equal(session->breaks.trap_count, 4);
	assert_int_equal(session->breaks.traps[1].trap.len, 1);
	assert_int_equal(session->breaks.traps[2].trap.address, 0x2002);
	assert_int_equal(session->breaks.traps[2].trap.len, 2);
	assert_int_equal(session->breaks.traps[3].trap.len, 8);
	assert_int_equal(session->breaks.traps[3].trap.kind, VCPU_TRAP_ACCESS);
	ASK("Z1,4000,1", "E1c");
	ASK("z2,2001,3", "OK");
	ASK("Z3,4000,10", "OK");
	ASK("Z2,5000,1", "E1c");
	ASK("Z2,5000,0", "E16");
	ASK("Z2,ffffffffffffffff,8", "E16");
	ASK("Z5,5000,1", "E16");
	ASK("Z2,5000", "E16");
	/* More where the guest can be stepped. */
	fake.target.trap_max = GDB_TRAPS_MAX;
	ASK("Z1,4000,1", "OK");
	ASK("Z2,6001,2f", "OK");
	ASK("Z2,8001,ff", "E1c");
}

static void many_breaks(void **state)
{
	char packet[64];

	(void)state;
	for (int i = 0; i < GDB_SOFT_MAX; i++) {
		snprintf(packet, sizeof(packet), "Z0,%x,1", 0x20000 + i);
		ASK(packet, "OK");
	}
	assert_int_equal(session->breaks.soft_count, GDB_SOFT_MAX);
	for (int i = 0; i < 4; i++) {
		snprintf(packet, sizeof(packet), "Z0,%x,1", 0x30000 + i);
		ASK(packet, "OK");
	}
	ASK("Z0,40000,1", "E1c");
	/* It leaves without a word. */
	gdb_session_end(session);
	for (int i = 0; i < GDB_SOFT_MAX; i++)
		assert_int_equal(peek(0x20000 + (gpa_t)i), 0);
	assert_int_equal(session->breaks.trap_count, 0);
}

/* ---- Running ---- */

static void running_and_stopping(void **state)
{
	(void)state;
	ask("qSupported:swbreak+;hwbreak+");
	ASK("vCont?", "vCont;c;C;s;S");
	ASK("Z0,20000,1", "OK");
	send_packet("vCont;s:2;c");
	assert_string_equal(take_answers(), "+");
	assert_true(fake.runs && fake.runs_cpu[0] && fake.runs_cpu[1]);
	assert_true(fake.debug[1].step && fake.debug[1].breaks && !fake.debug[0].step);
	/* While it runs nothing is answered but what stops it. */
	send_packet("g");
	send_packet("m0,1");
	assert_string_equal(take_answers(), "++");
	fake.stops[1].kind = VCPU_STOP_STEP;
	gdb_session_look(session);
	expect_answer("T05thread:2;");
	assert_false(fake.runs);
	ASK("qC", "QC2");
	/* One steps, the other stays. */
	send_packet("vCont;s:1");
	take_answers();
	assert_true(fake.runs_cpu[0] && !fake.runs_cpu[1]);
	fake.stops[0].kind = VCPU_STOP_BREAK;
	gdb_session_look(session);
	expect_answer("T05swbreak:;thread:1;");
	/* By the client's wish. */
	send_packet("vCont;c");
	take_answers();
	assert_false(fake.debug[0].step);
	gdb_session_feed(session, "\x03", 1);
	expect_answer("T02thread:1;");
	gdb_session_feed(session, "\x03", 1);
	assert_string_equal(take_answers(), "");
	send_packet("s");
	take_answers();
	assert_true(fake.runs && fake.debug[0].step && !fake.runs_cpu[1]);
	/* A false alarm: it goes on. */
	gdb_session_look(session);
	assert_true(fake.runs && session->waits);
	assert_string_equal(take_answers(), "");
}

static void watchpoints_name_their_address(void **state)
{
	(void)state;
	ask("qSupported:swbreak+;hwbreak+");
	ASK("Z2,2000,10", "OK");
	send_packet("vCont;c");
	take_answers();
	assert_int_equal(fake.debug[1].trap_count, 2);
	fake.stops[0] = (struct vcpu_stop){VCPU_STOP_TRAP, fake.debug[0].traps[1]};
	fake.stops[1] = (struct vcpu_stop){VCPU_STOP_TRAP, fake.debug[1].traps[0]};
	gdb_session_look(session);
	expect_answer("T05watch:2000;thread:1;");
	/* The other processor's comes next, before anything runs. */
	send_packet("vCont;c");
	expect_answer("T05watch:2000;thread:2;");
	assert_false(fake.runs);
	/* That of a watchpoint that is gone does not count. */
	send_packet("vCont;c");
	take_answers();
	fake.stops[0] = (struct vcpu_stop){VCPU_STOP_TRAP, {.address = 0x7000, .len = 1}};
	gdb_session_look(session);
	assert_true(fake.runs);
	gdb_session_feed(session, "\x03", 1);
	take_answers();
	ASK("z2,2000,10", "OK");
	ASK("Z1,9000,1", "OK");
	send_packet("vCont;c");
	take_answers();
	fake.stops[1] = (struct vcpu_stop){VCPU_STOP_TRAP, fake.debug[1].traps[0]};
	gdb_session_look(session);
	expect_answer("T05hwbreak:;thread:2;");
}

static void wrong_run_commands(void **state)
{
	(void)state;
	ASK("vCont;x", "E16");
	ASK("vCont;", "E16");
	ASK("vCont;s:9", "E16");
	ASK("vCont;c;", "E16");
	ASK("vCont;C", "E16");
	ASK("vCont;s:1x", "E16");
	assert_false(fake.runs);
	ASK("vKill;1", "OK");
	assert_int_equal(fake.kills, 1);
	assert_true(session->is_over);
}

static void resets_and_ends_are_told(void **state)
{
	(void)state;
	poke(0x20000, 0x90);
	ASK("Z0,20000,1", "OK");
	send_packet("vCont;c");
	take_answers();
	fake.runs = false;
	gmem_fill(&fake.mem, 0x20000, 0, 1);
	gdb_session_note_reset(session);
	assert_non_null(strstr(take_answers(), "$T05thread:1;#"));
	ASK("z0,20000,1", "OK");
	assert_int_equal(peek(0x20000), 0);
	send_packet("vCont;c");
	take_answers();
	gdb_session_note_exit(session, 7);
	expect_answer("W07");
	assert_true(session->is_over);
}

/* ---- monitor ---- */

/* The text that a command of monitor gives. */
static const char *monitor(const char *line)
{
	static char text[GDB_OUT_MAX];
	char packet[600] = "qRcmd,";
	size_t len = 0;

	for (const char *p = line; *p; p++)
		snprintf(packet + strlen(packet), 3, "%02x", (uint8_t)*p);
	send_packet(packet);
	for (const char *p = take_answers(); (p = strstr(p, "$O")) && p[2] != 'K'; p++)
		for (p += 2; *p != '#'; p += 2)
			assert_true(gdb_read_bytes(p, text + len++, 1));
	text[len] = '\0';
	assert_non_null(strstr(answers, "$OK#9a"));
	return text;
}

static void monitor_commands(void **state)
{
	(void)state;
	poke(0x1230, 'A');
	assert_string_equal(monitor("phys 0x1230 20"),
		"000000001230  41 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  A...............\n"
		"000000001240  00 00 00 00                                      ....\n");
	assert_non_null(strstr(monitor("phys 0x400000"), "no memory"));
	assert_non_null(strstr(monitor("phys 0 0"), "From 1 to"));
	assert_non_null(strstr(monitor("phys 0 9999"), "From 1 to"));
	assert_non_null(strstr(monitor("phys"), "missing"));
	assert_non_null(strstr(monitor("phys $nil"), "neither a number nor"));
	assert_non_null(strstr(monitor("phys 0x"), "neither a number nor"));
	assert_non_null(strstr(monitor("walk $rip"), "leads to guest-physical 0x10000"));
	assert_non_null(strstr(monitor("walk $pc"), "leads to guest-physical 0x10000"));
	assert_non_null(strstr(monitor("phys $cr3 8"), "000000001000  03 20 00"));
	assert_non_null(strstr(monitor("walk 0x20000"), "leads to guest-physical 0x20000"));
	assert_non_null(strstr(monitor("help"), "monitor reset"));
	assert_non_null(strstr(monitor(""), "monitor help"));
	assert_non_null(strstr(monitor("dance"), "no command 'dance'"));
	assert_non_null(strstr(monitor("a b c d e f"), "more words"));
	assert_non_null(strstr(monitor("explain 7"), "no CPU 7"));
	/* Long text is cut. */
	assert_int_equal(strlen(monitor("explain 1")), GDB_MONITOR_MAX);
	assert_non_null(strstr(monitor("exits"), "unclaimed"));
	assert_non_null(strstr(monitor("reset"), "first instruction"));
	assert_int_equal(fake.resets, 1);
	ASK("qRcmd,6", "E16");
	ASK("qRcmd,zz", "E16");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_debugger_comes_and_goes),
		TEST(strangers_are_cut_off),
		TEST(bad_frames_are_asked_for_again),
		TEST(threads_are_processors),
		TEST(objects_come_in_parts),
		TEST(registers),
		TEST(description_follows_the_mode),
		TEST(description_can_be_fixed),
		TEST(memory),
		TEST(device_memory_is_memory),
		TEST(breaks_are_not_seen),
		TEST(aliases_share_a_byte),
		TEST(changed_code_is_left_alone),
		TEST(unmapped_breaks_take_registers),
		TEST(four_registers_and_no_more),
		TEST(many_breaks),
		TEST(running_and_stopping),
		TEST(watchpoints_name_their_address),
		TEST(wrong_run_commands),
		TEST(resets_and_ends_are_told),
		TEST(monitor_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
