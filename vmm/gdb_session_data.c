/*
 * See gdb_session.h: the packets about registers, memory and breakpoints.
 */
#include <errno.h>
#include <string.h>

#include "vmm/gdb_session.h"

enum {
	PAGE_BYTES = 4096
};

void gdb_session_reply_errno(struct gdb_session *session, int ret)
{
	gdb_out_begin(&session->out);
	if (ret >= 0)
		gdb_out_text(&session->out, "OK");
	else
		gdb_out_text(&session->out, "E%02x", (unsigned)-ret & 0xff);
	gdb_out_end(&session->out);
}

/* ---- Registers ---- */

static void read_regs(struct gdb_session *session, unsigned first, unsigned count)
{
	const struct cpu_regs *regs = gdb_session_regs(session, session->cpu);

	if (!regs) {
		gdb_session_reply_errno(session, -EIO);
		return;
	}
	gdb_out_begin(&session->out);
	for (unsigned i = first; i < first + count; i++) {
		uint8_t bytes[GDB_REG_BYTES_MAX];

		gdb_reg_get(session->mode, i, regs, bytes);
		gdb_out_hex(&session->out, bytes, gdb_reg_bytes(session->mode, i));
	}
	gdb_out_end(&session->out);
}

static int write_regs(struct gdb_session *session, unsigned first, unsigned count, const char *hex)
{
	const struct gdb_target *target = session->target;
	const struct cpu_regs *old = gdb_session_regs(session, session->cpu);
	struct cpu_regs regs;
	int ret;

	if (!old)
		return -EIO;
	regs = *old;
	for (unsigned i = first; i < first + count; i++) {
		uint8_t bytes[GDB_REG_BYTES_MAX];
		size_t len = gdb_reg_bytes(session->mode, i);

		if (!gdb_read_bytes(hex, bytes, len))
			return -EINVAL;
		gdb_reg_set(session->mode, i, &regs, bytes);
		hex += len * 2;
	}
	if (*hex)
		return -EINVAL;
	ret = target->ops->set_regs(target->opaque, session->cpu, old, &regs);
	/* KVM may have made something else of it. */
	gdb_session_forget_regs(session);
	return ret;
}

static void read_one(struct gdb_session *session, const char *args)
{
	uint64_t nth;

	if (gdb_read_hex(&args, &nth) && !*args && nth < gdb_regs_count(session->mode))
		read_regs(session, (unsigned)nth, 1);
	else
		gdb_session_reply_errno(session, -EINVAL);
}

static int write_one(struct gdb_session *session, const char *args)
{
	uint64_t nth;

	if (!gdb_read_hex_to(&args, '=', &nth) || nth >= gdb_regs_count(session->mode))
		return -EINVAL;
	return write_regs(session, (unsigned)nth, 1, args);
}

/* ---- Memory, by linear addresses ---- */

/* Calls `move` for each page; returns how many bytes could be moved. */
static size_t for_pages(
	struct gdb_session *session, uint64_t address, uint8_t *buf, size_t len, bool is_write)
{
	const struct cpu_regs *regs = gdb_session_regs(session, session->cpu);
	struct page_walk_regs walk_regs;
	size_t done = 0;

	if (!regs)
		return 0;
	walk_regs = gdb_walk_regs(regs);
	while (done < len) {
		uint64_t at = address + done;
		size_t part = MIN(len - done, (size_t)(PAGE_BYTES - at % PAGE_BYTES));
		gpa_t gpa;
		int ret;

		if (!gdb_translate(session->target, &walk_regs, at, &gpa))
			break;
		ret = is_write
			? gdb_breaks_write(&session->breaks, session->target, gpa, buf + done, part)
			: gdb_breaks_read(&session->breaks, session->target, gpa, buf + done, part);
		if (ret < 0)
			break;
		done += part;
	}
	return done;
}

static void read_memory(struct gdb_session *session, const char *args)
{
	uint8_t bytes[GDB_MEMORY_MAX];
	uint64_t address, len;
	size_t got;

	if (!gdb_read_hex_to(&args, ',', &address) || !gdb_read_hex(&args, &len) || *args) {
		gdb_session_reply_errno(session, -EINVAL);
		return;
	}
	len = MIN(len, (uint64_t)GDB_MEMORY_MAX);
	got = for_pages(session, address, bytes, len, false);
	if (!got && len) {
		gdb_session_reply_errno(session, -EFAULT);
		return;
	}
	gdb_out_begin(&session->out);
	gdb_out_hex(&session->out, bytes, got);
	gdb_out_end(&session->out);
}

/* "X": bytes as they are; "M": in hexadecimal. */
static int write_memory(
	struct gdb_session *session, const char *args, const char *end, bool is_binary)
{
	uint8_t bytes[GDB_PACKET_MAX];
	uint64_t address, len;

	if (!gdb_read_hex_to(&args, ',', &address) || !gdb_read_hex_to(&args, ':', &len) ||
		len > sizeof(bytes) || (size_t)(end - args) != (is_binary ? len : len * 2))
		return -EINVAL;
	if (is_binary)
		memcpy(bytes, args, len);
	else if (!gdb_read_bytes(args, bytes, len))
		return -EINVAL;
	return for_pages(session, address, bytes, len, true) == len ? 0 : -EFAULT;
}

/* ---- Breakpoints ---- */

static int change_break(struct gdb_session *session, const char *args, bool is_set)
{
	const struct cpu_regs *regs = gdb_session_regs(session, session->cpu);
	struct page_walk_regs walk;
	uint64_t kind, address, len;

	if (!gdb_read_hex_to(&args, ',', &kind) || !gdb_read_hex_to(&args, ',', &address) ||
		!gdb_read_hex(&args, &len) || (*args && *args != ';') || kind >= GDB_BREAK_KINDS)
		return -EINVAL;
	if (!regs)
		return -EIO;
	walk = gdb_walk_regs(regs);
	if (is_set)
		return gdb_break_set(&session->breaks, session->target, &walk,
			(enum gdb_break_kind)kind, address, len);
	gdb_break_remove(
		&session->breaks, session->target, (enum gdb_break_kind)kind, address, len);
	return 0;
}

bool gdb_session_data_packet(struct gdb_session *session, const char *packet, size_t len)
{
	const char *args = packet + 1;

	switch (packet[0]) {
	case 'g':
		read_regs(session, 0, gdb_regs_count(session->mode));
		break;
	case 'G':
		gdb_session_reply_errno(
			session, write_regs(session, 0, gdb_regs_count(session->mode), args));
		break;
	case 'p':
		read_one(session, args);
		break;
	case 'P':
		gdb_session_reply_errno(session, write_one(session, args));
		break;
	case 'm':
		read_memory(session, args);
		break;
	case 'M':
	case 'X':
		gdb_session_reply_errno(
			session, write_memory(session, args, packet + len, packet[0] == 'X'));
		break;
	case 'Z':
	case 'z':
		gdb_session_reply_errno(session, change_break(session, args, packet[0] == 'Z'));
		break;
	default:
		return false;
	}
	return true;
}
