/*
 * See fault.h. Reads the processor's registers from KVM and everything else
 * through gmem and the page walk.
 *
 * Sources: Intel SDM vol. 3A 6.10–6.15 (IDT, gates, double fault); AMD APM vol. 2, 8.2.9,
 * 15.14.3 (shutdown intercept: the saved state is undefined).
 */
#include "vmm/kvm/fault.h"

#include <asm/processor-flags.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <sys/ioctl.h>

#include "vmm/kvm/insn_name.h"
#include "vmm/kvm/page_walk.h"
#include "vmm/kvm/vcpu_impl.h"

#define EFER_LMA (UINT64_C(1) << 10)

enum {
	CODE_BYTES = 24,
	VECTOR_DOUBLE_FAULT = 8,
	VECTOR_GENERAL_PROTECTION = 13,
	VECTOR_PAGE_FAULT = 14
};

struct snapshot {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	bool has_regs;
	bool is_reset_state; /* KVM lost the registers: see lost_registers() */
	struct page_walk_regs walk_regs;
	uint8_t code[CODE_BYTES];
	size_t code_len;
};

/* ---- Gathering ---- */

/*
 * AMD's processors don't save the state of a guest that shuts down, so KVM resets
 * the vCPU: what is read then are the registers of a processor that just got power.
 */
static bool lost_registers(const struct snapshot *s)
{
	return s->regs.rip == 0xfff0 && s->sregs.cs.base == 0xffff0000 &&
		!(s->sregs.cr0 & X86_CR0_PE);
}

static uint64_t code_address(const struct snapshot *s)
{
	/* In 64-bit code the base of CS does not count. */
	if ((s->sregs.efer & EFER_LMA) && s->sregs.cs.l)
		return s->regs.rip;
	return (s->sregs.cs.base + s->regs.rip) & UINT32_MAX;
}

static uint64_t stack_address(const struct snapshot *s)
{
	if ((s->sregs.efer & EFER_LMA) && s->sregs.cs.l)
		return s->regs.rsp;
	return (s->sregs.ss.base + s->regs.rsp) & UINT32_MAX;
}

/* What there is instead: an exit before, whose system registers may be older still. */
static void take_last_registers(const struct vcpu *vcpu, struct snapshot *s)
{
	s->regs = vcpu->last.regs;
	s->sregs = vcpu->last.sregs;
	s->has_regs = vcpu->last.has_regs && vcpu->last.has_sregs;
}

static void take_snapshot(const struct vcpu *vcpu, struct snapshot *s)
{
	*s = (struct snapshot){0};
	if (ioctl(vcpu->fd, KVM_GET_REGS, &s->regs) < 0 ||
		ioctl(vcpu->fd, KVM_GET_SREGS, &s->sregs) < 0)
		return;
	s->has_regs = true;
	s->is_reset_state = vcpu->has_event && vcpu->event == VCPU_EVENT_SHUTDOWN &&
		lost_registers(s) && vcpu->exits.total > 1;
	if (s->is_reset_state)
		take_last_registers(vcpu, s);
	s->walk_regs = (struct page_walk_regs){.cr0 = s->sregs.cr0,
		.cr3 = s->sregs.cr3,
		.cr4 = s->sregs.cr4,
		.efer = s->sregs.efer};
	if (s->has_regs && vcpu->env.mem)
		s->code_len = page_walk_read(
			vcpu->env.mem, &s->walk_regs, code_address(s), s->code, sizeof(s->code));
}

/* ---- Text ---- */

struct text {
	char *buf;
	size_t size, used;
};

PRINTF_LIKE(2, 3)
static void add(struct text *text, const char *format, ...)
{
	va_list args;
	int n;

	if (text->used + 1 >= text->size)
		return;
	va_start(args, format);
	n = vsnprintf(text->buf + text->used, text->size - text->used, format, args);
	va_end(args);
	if (n > 0)
		text->used = MIN(text->used + (size_t)n, text->size - 1);
}

static void add_bytes(struct text *text, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		add(text, "%s%02x", i ? " " : "", bytes[i]);
}

/* " (stops at …)" or "": why an address can't be reached. True when it can't. */
static bool is_unreachable(
	const struct vcpu *vcpu, const struct snapshot *s, uint64_t address, char *why, size_t size)
{
	struct page_walk walk;

	if (!vcpu->env.mem)
		return false;
	page_walk(&walk, vcpu->env.mem, &s->walk_regs, address);
	page_walk_describe(&walk, why, size);
	return walk.result != PAGE_WALK_MAPPED;
}

/* ---- Triple fault: which step of delivering an exception can't have worked ---- */

struct gate {
	bool readable, present;
	uint16_t selector;
	uint64_t handler;
};

static bool is_long(const struct snapshot *s)
{
	return s->sregs.efer & EFER_LMA;
}

static void read_gate(
	const struct vcpu *vcpu, const struct snapshot *s, unsigned vector, struct gate *gate)
{
	size_t size = is_long(s) ? 16 : 8;
	uint8_t bytes[16] = {0};

	*gate = (struct gate){0};
	if ((vector + 1) * size - 1 > s->sregs.idt.limit)
		return;
	if (page_walk_read(vcpu->env.mem, &s->walk_regs, s->sregs.idt.base + vector * size, bytes,
		    size) != size)
		return;
	gate->readable = true;
	gate->present = bytes[5] & 0x80;
	gate->selector = load_le16(bytes + 2);
	gate->handler = load_le16(bytes) | (uint64_t)load_le16(bytes + 6) << 16 |
		(is_long(s) ? (uint64_t)load_le32(bytes + 8) << 32 : 0);
}

static bool explain_gate(
	const struct vcpu *vcpu, const struct snapshot *s, unsigned vector, struct text *text)
{
	struct gate gate;
	char why[120];

	read_gate(vcpu, s, vector, &gate);
	if (!gate.readable) {
		add(text, "the IDT (limit 0x%x) has no entry for exception %u", s->sregs.idt.limit,
			vector);
		return true;
	}
	if (!gate.present) {
		add(text, "the IDT's entry for exception %u is not present", vector);
		return true;
	}
	if (is_unreachable(vcpu, s, gate.handler, why, sizeof(why))) {
		add(text, "the page walk of the handler of exception %u at 0x%llx %s", vector,
			(unsigned long long)gate.handler, why);
		return true;
	}
	return false;
}

/* Why an exception can't be delivered, most telling reason first; else says nothing. */
static bool explain_delivery(const struct vcpu *vcpu, const struct snapshot *s, struct text *text)
{
	static const unsigned vectors[] = {
		VECTOR_PAGE_FAULT, VECTOR_GENERAL_PROTECTION, VECTOR_DOUBLE_FAULT};
	char why[120];

	if (!s->sregs.idt.limit) {
		add(text, "no IDT is loaded (its limit is 0)");
		return true;
	}
	if (!(s->sregs.cr0 & X86_CR0_PE) || !vcpu->env.mem)
		return false;
	if (is_unreachable(vcpu, s, s->sregs.idt.base, why, sizeof(why))) {
		add(text, "the page walk of the IDT at 0x%llx %s",
			(unsigned long long)s->sregs.idt.base, why);
		return true;
	}
	if (is_unreachable(vcpu, s, stack_address(s) - 8, why, sizeof(why))) {
		add(text, "the page walk of the stack at 0x%llx %s",
			(unsigned long long)stack_address(s) - 8, why);
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++)
		if (explain_gate(vcpu, s, vectors[i], text))
			return true;
	return false;
}

/* The shutdown itself is the last of all, the exit before the one before it. */
static uint64_t exits_since(const struct vcpu *vcpu, uint64_t at)
{
	return vcpu->exits.total - 2 - at;
}

static void explain_lost(const struct vcpu *vcpu, const struct snapshot *s, struct text *text)
{
	add(text,
		"triple fault on CPU %u: an exception could not be delivered; this processor "
		"(AMD) keeps no registers of it",
		vcpu->id);
	if (s->has_regs)
		add(text, ", %s was at RIP 0x%llx",
			exits_since(vcpu, vcpu->last.regs_at) ? "an exit shortly before"
							      : "the exit before",
			(unsigned long long)s->regs.rip);
}

static void explain_shutdown(const struct vcpu *vcpu, const struct snapshot *s, struct text *text)
{
	char why[120];

	if (s->is_reset_state) {
		explain_lost(vcpu, s, text);
		return;
	}
	add(text, "triple fault on CPU %u at RIP 0x%llx: ", vcpu->id,
		(unsigned long long)s->regs.rip);
	if (is_unreachable(vcpu, s, code_address(s), why, sizeof(why)))
		add(text, "no code can be fetched there, for the page walk of RIP %s, and ", why);
	else if (s->sregs.cr2 && is_unreachable(vcpu, s, s->sregs.cr2, why, sizeof(why)))
		add(text, "the page walk of the last fault address 0x%llx %s, and ",
			(unsigned long long)s->sregs.cr2, why);
	else
		add(text, "an exception came and ");
	if (!explain_delivery(vcpu, s, text))
		add(text, "its handler and the double fault's handler could not be entered");
}

/* ---- The other ends ---- */

/* The bytes KVM gave up on: told by KVM itself, else as memory has them. */
static size_t failed_bytes(const struct vcpu *vcpu, const struct snapshot *s, uint8_t bytes[15])
{
	const struct kvm_run *run = vcpu->run;
	size_t len;

	if (run->emulation_failure.ndata >= 3 &&
		(run->emulation_failure.flags &
			KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)) {
		len = MIN(run->emulation_failure.insn_size,
			sizeof(run->emulation_failure.insn_bytes));
		memcpy(bytes, run->emulation_failure.insn_bytes, len);
		if (len)
			return len;
	}
	len = MIN(s->code_len, (size_t)15);
	memcpy(bytes, s->code, len);
	return len;
}

static void explain_emulation(const struct vcpu *vcpu, const struct snapshot *s, struct text *text)
{
	uint8_t bytes[15];
	size_t len = failed_bytes(vcpu, s, bytes);
	const char *name = insn_name(bytes, len);
	char why[120];

	if (!len && is_unreachable(vcpu, s, code_address(s), why, sizeof(why))) {
		add(text,
			"KVM could not fetch the instruction at RIP 0x%llx on CPU %u: its page "
			"walk %s",
			(unsigned long long)s->regs.rip, vcpu->id, why);
		return;
	}
	add(text, "KVM can't emulate the instruction ");
	add_bytes(text, bytes, MIN(len, (size_t)10));
	add(text, "%s%s%s at RIP 0x%llx on CPU %u", name ? " (" : "", name ? name : "",
		name ? ")" : "", (unsigned long long)s->regs.rip, vcpu->id);
}

static void explain_internal(const struct vcpu *vcpu, const struct snapshot *s, struct text *text)
{
	const struct kvm_run *run = vcpu->run;

	if (vcpu->run_errno) {
		add(text, "KVM could not run CPU %u: %s%s", vcpu->id, strerror(vcpu->run_errno),
			vcpu->run_errno == EFAULT
				? " (a page of guest memory can't be had from the host)"
				: "");
	} else if (run->exit_reason != KVM_EXIT_INTERNAL_ERROR) {
		add(text, "KVM left the guest on CPU %u for a reason that vmm does not know (%u)",
			vcpu->id, run->exit_reason);
	} else if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION) {
		explain_emulation(vcpu, s, text);
	} else {
		static const char *const reasons[] = {
			[KVM_INTERNAL_ERROR_SIMUL_EX] = "two exceptions at once",
			[KVM_INTERNAL_ERROR_DELIVERY_EV] = "a fault while delivering an event",
			[KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] =
				"the hardware gave an exit that KVM does not know",
		};
		uint32_t suberror = run->internal.suberror;
		const char *reason = suberror < ARRAY_SIZE(reasons) ? reasons[suberror] : NULL;

		add(text, "KVM internal error %u on CPU %u at RIP 0x%llx%s%s", suberror, vcpu->id,
			(unsigned long long)s->regs.rip, reason ? ": " : "", reason ? reason : "");
		for (uint32_t i = 0; i < MIN(run->internal.ndata, UINT32_C(4)); i++)
			add(text, "%s0x%llx", i ? ", " : "; details ",
				(unsigned long long)run->internal.data[i]);
	}
}

static void explain_end(const struct vcpu *vcpu, const struct snapshot *s, struct text *text)
{
	if (!vcpu->has_event) {
		add(text, "CPU %u stands at RIP 0x%llx", vcpu->id, (unsigned long long)s->regs.rip);
		return;
	}
	switch (vcpu->event) {
	case VCPU_EVENT_SHUTDOWN:
		explain_shutdown(vcpu, s, text);
		break;
	case VCPU_EVENT_INTERNAL_ERROR:
		explain_internal(vcpu, s, text);
		break;
	case VCPU_EVENT_FAIL_ENTRY:
		add(text,
			"the hardware refused to enter the guest on CPU %u (reason 0x%llx): the "
			"processor's state is not legal",
			vcpu->id,
			(unsigned long long)vcpu->run->fail_entry.hardware_entry_failure_reason);
		break;
	default:
		add(text, "%s on CPU %u at RIP 0x%llx", vcpu_event_name(vcpu->event), vcpu->id,
			(unsigned long long)s->regs.rip);
	}
}

void vcpu_explain_sentence(struct vcpu *vcpu, char *text, size_t size)
{
	struct text out = {.buf = text, .size = size};
	struct snapshot s;

	if (!size)
		return;
	text[0] = '\0';
	take_snapshot(vcpu, &s);
	explain_end(vcpu, &s, &out);
}

/* ---- The dump ---- */

static void print_regs(const struct kvm_regs *r, FILE *out)
{
	const struct {
		const char *name;
		uint64_t value;
	} gprs[] = {{"RAX", r->rax}, {"RBX", r->rbx}, {"RCX", r->rcx}, {"RDX", r->rdx},
		{"RSI", r->rsi}, {"RDI", r->rdi}, {"RBP", r->rbp}, {"RSP", r->rsp}, {"R8", r->r8},
		{"R9", r->r9}, {"R10", r->r10}, {"R11", r->r11}, {"R12", r->r12}, {"R13", r->r13},
		{"R14", r->r14}, {"R15", r->r15}, {"RIP", r->rip}, {"RFL", r->rflags}};

	for (size_t i = 0; i < ARRAY_SIZE(gprs); i++)
		fprintf(out, "  %-3s %016llx%s", gprs[i].name, (unsigned long long)gprs[i].value,
			i % 4 == 3 || i + 1 == ARRAY_SIZE(gprs) ? "\n" : "");
}

static void print_sregs(const struct kvm_sregs *s, FILE *out)
{
	const struct {
		const char *name;
		const struct kvm_segment *seg;
	} segs[] = {{"CS", &s->cs}, {"SS", &s->ss}, {"DS", &s->ds}, {"ES", &s->es}, {"FS", &s->fs},
		{"GS", &s->gs}, {"TR", &s->tr}, {"LDT", &s->ldt}};

	fprintf(out, "  CR0 %016llx  CR2 %016llx  CR3 %016llx  CR4 %016llx\n",
		(unsigned long long)s->cr0, (unsigned long long)s->cr2, (unsigned long long)s->cr3,
		(unsigned long long)s->cr4);
	fprintf(out, "  EFER %04llx  GDT %016llx limit %04x  IDT %016llx limit %04x\n",
		(unsigned long long)s->efer, (unsigned long long)s->gdt.base, s->gdt.limit,
		(unsigned long long)s->idt.base, s->idt.limit);
	for (size_t i = 0; i < ARRAY_SIZE(segs); i++) {
		const struct kvm_segment *seg = segs[i].seg;

		fprintf(out, "  %-3s %04x base %016llx limit %08x type %x dpl %u%s%s%s%s\n",
			segs[i].name, seg->selector, (unsigned long long)seg->base, seg->limit,
			seg->type, seg->dpl, seg->present ? "" : " not-present",
			seg->l ? " 64-bit" : "", seg->db ? " 32-bit" : "",
			seg->unusable ? " unusable" : "");
	}
}

static void print_heading(const struct vcpu *vcpu, const struct snapshot *s, FILE *out)
{
	if (!s->is_reset_state)
		fprintf(out, "Registers of CPU %u:\n", vcpu->id);
	else
		fprintf(out, "Registers of CPU %u at %s, CR0 and below %s:\n", vcpu->id,
			exits_since(vcpu, vcpu->last.regs_at) ? "an exit shortly before"
							      : "the exit before",
			vcpu->last.sregs_at == vcpu->last.regs_at ? "as well" : "some exits older");
}

static void print_walk(const struct vcpu *vcpu, const struct snapshot *s, const char *what,
	uint64_t address, FILE *out)
{
	struct page_walk walk;
	char text[1000];

	if (!vcpu->env.mem)
		return;
	page_walk(&walk, vcpu->env.mem, &s->walk_regs, address);
	page_walk_print(&walk, text, sizeof(text));
	fprintf(out, "Page walk of %s %s", what, text);
}

static void print_exits(const struct exit_ring *ring, FILE *out)
{
	const struct exit_record *record;
	char line[200];

	fprintf(out, "Last exits, newest first:\n");
	for (size_t i = 0; (record = exit_ring_latest(ring, i)); i++) {
		exit_record_print(record, line, sizeof(line));
		fprintf(out, "  %s\n", line);
	}
}

void vcpu_explain(struct vcpu *vcpu, FILE *out)
{
	char buf[600];
	struct text text = {.buf = buf, .size = sizeof(buf)};
	struct snapshot s;

	take_snapshot(vcpu, &s);
	buf[0] = '\0';
	explain_end(vcpu, &s, &text);
	fprintf(out, "%s\n", buf);
	if (s.has_regs) {
		print_heading(vcpu, &s, out);
		print_regs(&s.regs, out);
		print_sregs(&s.sregs, out);
		buf[text.used = 0] = '\0';
		add_bytes(&text, s.code, s.code_len);
		fprintf(out, "Code at RIP: %s\n", s.code_len ? buf : "can't be read");
		print_walk(vcpu, &s, "RIP", code_address(&s), out);
		if (s.sregs.cr2)
			print_walk(vcpu, &s, "CR2", s.sregs.cr2, out);
	} else {
		fprintf(out, "KVM does not hand out the registers\n");
	}
	print_exits(&vcpu->exits, out);
}

bool vcpu_find_code(const struct vcpu *vcpu, uint64_t *code)
{
	struct snapshot s;

	take_snapshot(vcpu, &s);
	*code = code_address(&s);
	return s.has_regs;
}

bool vcpu_has_shut_down(const struct vcpu *vcpu)
{
	return vcpu->has_event && vcpu->event == VCPU_EVENT_SHUTDOWN;
}
