/*
 * The debugger's stub on a machine without KVM: any packets in any order, with processors that stop
 * in between, get frames of the protocol as answers; breakpoints never stay in memory.
 *
 * The input is lines: '!' and raw bytes; '.' and a number, what stops; all else is the data of a
 * packet, which gets its frame here.
 */
#include <stdlib.h>

#include "tests/fake/fake_debugged.h"
#include "tests/fuzz/fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	CODE_BYTES = 0x1000,
	CODE_AT = 0x20000, /* behind the page tables */
};

/* Every answer is '+', '-' or a packet whose sum is right. */
static void check_answers(struct gdb_out *out)
{
	size_t i = 0;

	while (i < out->len) {
		uint8_t sum = 0, told;

		if (out->bytes[i] == '+' || out->bytes[i] == '-') {
			i++;
			continue;
		}
		ASSERT(out->bytes[i++] == '$');
		while (i < out->len && out->bytes[i] != '#')
			sum = (uint8_t)(sum + out->bytes[i++]);
		ASSERT(i + 3 <= out->len);
		ASSERT(gdb_read_bytes((const char *)out->bytes + i + 1, &told, 1) && told == sum);
		i += 3;
	}
	out->len = out->sent = 0;
}

static void feed(struct gdb_session *session, const uint8_t *bytes, size_t len)
{
	size_t used = 0;

	while (used < len && !session->is_over) {
		used += gdb_session_feed(session, bytes + used, len - used);
		check_answers(&session->out);
	}
}

static void send_packet(struct gdb_session *session, const uint8_t *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t sum = 0, end[3];

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + data[i]);
	end[0] = '#';
	end[1] = (uint8_t)digits[sum >> 4];
	end[2] = (uint8_t)digits[sum & 15];
	feed(session, (const uint8_t *)"$", 1);
	feed(session, data, len);
	feed(session, end, sizeof(end));
}

static void stop_some(struct fake_debugged *fake, struct gdb_session *session, uint8_t what)
{
	unsigned cpu = what & 1;

	fake->stops[cpu].kind = what >> 1 & 3;
	fake->stops[cpu].trap = fake->debug[cpu].traps[what >> 3 & 3];
	/* A trap comes of a debug register that is set. */
	if (!fake->debug[cpu].trap_count && fake->stops[cpu].kind == VCPU_STOP_TRAP)
		fake->stops[cpu].kind = VCPU_STOP_NONE;
	if (what & 0x20)
		fake->regs[cpu].efer = 0;
	if (what & 0x40)
		fake->regs[cpu].cr0 = 0;
	gdb_session_look(session);
	check_answers(&session->out);
}

static void run_line(
	struct fake_debugged *fake, struct gdb_session *session, const uint8_t *line, size_t len)
{
	if (len && line[0] == '!')
		feed(session, line + 1, len - 1);
	else if (len > 1 && line[0] == '.')
		stop_some(fake, session, line[1]);
	else
		send_packet(session, line, len);
}

static void fill_code(struct fake_debugged *fake)
{
	for (unsigned i = 0; i < CODE_BYTES; i++)
		gmem_fill(&fake->mem, CODE_AT + i, (int)(i * 7 & 0x7f), 1);
}

/* An INT3 there is left over, unless the debugger itself wrote one. */
static void check_code(const struct fake_debugged *fake, bool wrote)
{
	uint8_t code[CODE_BYTES];

	ASSERT(gmem_read(&fake->mem, CODE_AT, code, sizeof(code)) == 0);
	for (size_t i = 0; !wrote && i < sizeof(code); i++)
		ASSERT(code[i] == (i * 7 & 0x7f));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fake_debugged fake;
	struct gdb_session *session = calloc(1, sizeof(*session));
	bool wrote = memchr(data, 'M', size) || memchr(data, 'X', size);

	ASSERT(session);
	fake_debugged_init(&fake, 2);
	fill_code(&fake);
	session->target = &fake.target;
	gdb_session_begin(session);
	check_answers(&session->out);
	while (size && !session->is_over) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t len = end ? (size_t)(end - data) : size;

		run_line(&fake, session, data, len);
		data += MIN(len + 1, size);
		size -= MIN(len + 1, size);
	}
	gdb_session_end(session);
	ASSERT(!session->breaks.soft_count && fake.runs);
	check_code(&fake, wrote);
	free(session);
	fake_debugged_finish(&fake);
	return 0;
}
