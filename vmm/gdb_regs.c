/*
 * See gdb_regs.h.
 *
 * A line of a table is a register: gdb's name, its width there, its type, and where it lies in
 * struct cpu_regs. Registers with a rule of their own have a `special`.
 */
#include "vmm/gdb_regs.h"

#include <asm/processor-flags.h>
#include <stdarg.h>
#include <stdio.h>

#include "vmm/base/util.h"

/* AMD APM vol. 2, 3.1.7. */
#define EFER_LMA (UINT64_C(1) << 10)

enum special {
	PLAIN,
	LINEAR_PC,
	FULL_TAG,  /* FTW with two bits for each register */
	HIGH_HALF, /* of a pointer: what the old formats call its segment */
	SEGMENT,   /* a selector, whose base may follow */
};

/* As numbers and arrays: pointers would cost each line two relocations when the program starts. */
struct gdb_reg {
	char name[15];
	uint8_t type;	/* enum type */
	uint8_t bytes;	/* for gdb */
	uint8_t inside; /* in struct cpu_regs */
	uint8_t special;
	uint16_t offset;
};

enum type {
	TYPE_INT,
	TYPE_INT32,
	TYPE_INT64,
	TYPE_DATA,
	TYPE_CODE,
	TYPE_EFLAGS,
	TYPE_X87,
	TYPE_VECTOR,
	TYPE_MXCSR,
	TYPE_CR0,
	TYPE_CR4,
	TYPE_EFER,
	TYPE_ACCESS,
};

static const char type_names[][10] = {"int", "int32", "int64", "data_ptr", "code_ptr", "eflags",
	"i387_ext", "vec128", "mxcsr", "cr0", "cr4", "efer", "access"};

struct flags;

struct feature {
	const char *name;	   /* NULL: more of the one before */
	const char *types;	   /* XML before the registers, or "" */
	const struct flags *flags; /* and types of flags, or NULL */
	const struct gdb_reg *regs;
	unsigned count;
};

#define INSIDE(field, rule)                                                                        \
	sizeof(((struct cpu_regs *)NULL)->field), rule, offsetof(struct cpu_regs, field)
#define REG(name, type, bytes, field)                                                              \
	{                                                                                          \
		name, type, bytes, INSIDE(field, PLAIN)                                            \
	}
#define RULE(name, type, bytes, field, rule)                                                       \
	{                                                                                          \
		name, type, bytes, INSIDE(field, rule)                                             \
	}
#define XMM(n) REG("xmm" #n, TYPE_VECTOR, 16, xmm[n])

static const struct gdb_reg selectors[] = {
	RULE("cs", TYPE_INT32, 4, segments[CPU_CS].selector, SEGMENT),
	RULE("ss", TYPE_INT32, 4, segments[CPU_SS].selector, SEGMENT),
	RULE("ds", TYPE_INT32, 4, segments[CPU_DS].selector, SEGMENT),
	RULE("es", TYPE_INT32, 4, segments[CPU_ES].selector, SEGMENT),
	RULE("fs", TYPE_INT32, 4, segments[CPU_FS].selector, SEGMENT),
	RULE("gs", TYPE_INT32, 4, segments[CPU_GS].selector, SEGMENT),
};

static const struct gdb_reg floats[] = {
	REG("st0", TYPE_X87, 10, st[0]),
	REG("st1", TYPE_X87, 10, st[1]),
	REG("st2", TYPE_X87, 10, st[2]),
	REG("st3", TYPE_X87, 10, st[3]),
	REG("st4", TYPE_X87, 10, st[4]),
	REG("st5", TYPE_X87, 10, st[5]),
	REG("st6", TYPE_X87, 10, st[6]),
	REG("st7", TYPE_X87, 10, st[7]),
	REG("fctrl", TYPE_INT, 4, fcw),
	REG("fstat", TYPE_INT, 4, fsw),
	RULE("ftag", TYPE_INT, 4, ftw, FULL_TAG),
	RULE("fiseg", TYPE_INT, 4, fip, HIGH_HALF),
	REG("fioff", TYPE_INT, 4, fip),
	RULE("foseg", TYPE_INT, 4, fdp, HIGH_HALF),
	REG("fooff", TYPE_INT, 4, fdp),
	REG("fop", TYPE_INT, 4, fop),
};

static const struct gdb_reg core64[] = {
	REG("rax", TYPE_INT64, 8, gpr[CPU_RAX]),
	REG("rbx", TYPE_INT64, 8, gpr[CPU_RBX]),
	REG("rcx", TYPE_INT64, 8, gpr[CPU_RCX]),
	REG("rdx", TYPE_INT64, 8, gpr[CPU_RDX]),
	REG("rsi", TYPE_INT64, 8, gpr[CPU_RSI]),
	REG("rdi", TYPE_INT64, 8, gpr[CPU_RDI]),
	REG("rbp", TYPE_DATA, 8, gpr[CPU_RBP]),
	REG("rsp", TYPE_DATA, 8, gpr[CPU_RSP]),
	REG("r8", TYPE_INT64, 8, gpr[8]),
	REG("r9", TYPE_INT64, 8, gpr[9]),
	REG("r10", TYPE_INT64, 8, gpr[10]),
	REG("r11", TYPE_INT64, 8, gpr[11]),
	REG("r12", TYPE_INT64, 8, gpr[12]),
	REG("r13", TYPE_INT64, 8, gpr[13]),
	REG("r14", TYPE_INT64, 8, gpr[14]),
	REG("r15", TYPE_INT64, 8, gpr[15]),
	RULE("rip", TYPE_CODE, 8, rip, LINEAR_PC),
	REG("eflags", TYPE_EFLAGS, 4, rflags),
};

static const struct gdb_reg core32[] = {
	REG("eax", TYPE_INT32, 4, gpr[CPU_RAX]),
	REG("ecx", TYPE_INT32, 4, gpr[CPU_RCX]),
	REG("edx", TYPE_INT32, 4, gpr[CPU_RDX]),
	REG("ebx", TYPE_INT32, 4, gpr[CPU_RBX]),
	REG("esp", TYPE_DATA, 4, gpr[CPU_RSP]),
	REG("ebp", TYPE_DATA, 4, gpr[CPU_RBP]),
	REG("esi", TYPE_INT32, 4, gpr[CPU_RSI]),
	REG("edi", TYPE_INT32, 4, gpr[CPU_RDI]),
	RULE("eip", TYPE_CODE, 4, rip, LINEAR_PC),
	REG("eflags", TYPE_EFLAGS, 4, rflags),
};

static const struct gdb_reg sse[] = {
	XMM(0),
	XMM(1),
	XMM(2),
	XMM(3),
	XMM(4),
	XMM(5),
	XMM(6),
	XMM(7),
	XMM(8),
	XMM(9),
	XMM(10),
	XMM(11),
	XMM(12),
	XMM(13),
	XMM(14),
	XMM(15),
};

static const struct gdb_reg sse_control[] = {
	REG("mxcsr", TYPE_MXCSR, 4, mxcsr),
};

static const struct gdb_reg bases[] = {
	REG("fs_base", TYPE_INT64, 8, segments[CPU_FS].base),
	REG("gs_base", TYPE_INT64, 8, segments[CPU_GS].base),
};

#define SEGMENT_PARTS(name, nth)                                                                   \
	REG(name "_base", TYPE_INT64, 8, segments[nth].base),                                      \
		REG(name "_limit", TYPE_INT32, 4, segments[nth].limit),                            \
		REG(name "_access", TYPE_ACCESS, 4, segments[nth].access)
#define SELECTED_PARTS(name, nth)                                                                  \
	REG(name "_limit", TYPE_INT32, 4, segments[nth].limit),                                    \
		REG(name "_access", TYPE_ACCESS, 4, segments[nth].access)

static const struct gdb_reg system_regs[] = {
	REG("cr0", TYPE_CR0, 8, cr0),
	REG("cr2", TYPE_INT64, 8, cr2),
	REG("cr3", TYPE_INT64, 8, cr3),
	REG("cr4", TYPE_CR4, 8, cr4),
	REG("cr8", TYPE_INT64, 8, cr8),
	REG("efer", TYPE_EFER, 8, efer),
	REG("pc_offset", TYPE_INT64, 8, rip),
	SEGMENT_PARTS("cs", CPU_CS),
	SEGMENT_PARTS("ss", CPU_SS),
	SEGMENT_PARTS("ds", CPU_DS),
	SEGMENT_PARTS("es", CPU_ES),
	SELECTED_PARTS("fs", CPU_FS),
	SELECTED_PARTS("gs", CPU_GS),
	REG("tr", TYPE_INT32, 4, segments[CPU_TR].selector),
	SEGMENT_PARTS("tr", CPU_TR),
	REG("ldtr", TYPE_INT32, 4, segments[CPU_LDT].selector),
	SEGMENT_PARTS("ldtr", CPU_LDT),
	REG("gdtr_base", TYPE_INT64, 8, gdt.base),
	REG("gdtr_limit", TYPE_INT32, 4, gdt.limit),
	REG("idtr_base", TYPE_INT64, 8, idt.base),
	REG("idtr_limit", TYPE_INT32, 4, idt.limit),
	REG("dr0", TYPE_INT64, 8, dr[0]),
	REG("dr1", TYPE_INT64, 8, dr[1]),
	REG("dr2", TYPE_INT64, 8, dr[2]),
	REG("dr3", TYPE_INT64, 8, dr[3]),
	REG("dr6", TYPE_INT64, 8, dr6),
	REG("dr7", TYPE_INT64, 8, dr7),
	REG("apic_base", TYPE_INT64, 8, apic_base),
	REG("kernel_gs_base", TYPE_INT64, 8, msr[CPU_MSR_KERNEL_GS_BASE]),
	REG("star", TYPE_INT64, 8, msr[CPU_MSR_STAR]),
	REG("lstar", TYPE_INT64, 8, msr[CPU_MSR_LSTAR]),
	REG("cstar", TYPE_INT64, 8, msr[CPU_MSR_CSTAR]),
	REG("sfmask", TYPE_INT64, 8, msr[CPU_MSR_SFMASK]),
	REG("sysenter_cs", TYPE_INT64, 8, msr[CPU_MSR_SYSENTER_CS]),
	REG("sysenter_esp", TYPE_INT64, 8, msr[CPU_MSR_SYSENTER_ESP]),
	REG("sysenter_eip", TYPE_INT64, 8, msr[CPU_MSR_SYSENTER_EIP]),
	REG("pat", TYPE_INT64, 8, msr[CPU_MSR_PAT]),
	REG("tsc_aux", TYPE_INT64, 8, msr[CPU_MSR_TSC_AUX]),
};

/* ---- Types, as XML ---- */

/* Fields "NAME=BIT" or "NAME=FROM-TO", with a blank behind each. */
struct flags {
	const char *id;
	unsigned bytes;
	const char *fields;
};

static const struct flags core_flags[] = {
	{"eflags", 4,
		"CF=0 =1 PF=2 AF=4 ZF=6 SF=7 TF=8 IF=9 DF=10 OF=11 NT=14 RF=16 VM=17 AC=18 VIF=19 "
		"VIP=20 ID=21 "},
	{.id = NULL},
};

static const struct flags sse_flags[] = {
	{"mxcsr", 4, "IE=0 DE=1 ZE=2 OE=3 UE=4 PE=5 DAZ=6 IM=7 DM=8 ZM=9 OM=10 UM=11 PM=12 FZ=15 "},
	{.id = NULL},
};

static const struct flags system_flags[] = {
	{"cr0", 8, "PE=0 MP=1 EM=2 TS=3 ET=4 NE=5 WP=16 AM=18 NW=29 CD=30 PG=31 "},
	{"cr4", 8,
		"VME=0 PVI=1 TSD=2 DE=3 PSE=4 PAE=5 MCE=6 PGE=7 PCE=8 OSFXSR=9 OSXMMEXCPT=10 "
		"UMIP=11 LA57=12 VMXE=13 FSGSBASE=16 PCIDE=17 OSXSAVE=18 SMEP=20 SMAP=21 PKE=22 "},
	{"efer", 8, "SCE=0 LME=8 LMA=10 NXE=11 SVME=12 FFXSR=14 "},
	{"access", 4, "TYPE=0-3 S=4 DPL=5-6 P=7 AVL=12 L=13 DB=14 G=15 UNUSABLE=16 "},
	{.id = NULL},
};

static const char vector_types[] =
	"<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>\n"
	"<vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>\n"
	"<vector id=\"v16i8\" type=\"int8\" count=\"16\"/>\n"
	"<vector id=\"v8i16\" type=\"int16\" count=\"8\"/>\n"
	"<vector id=\"v4i32\" type=\"int32\" count=\"4\"/>\n"
	"<vector id=\"v2i64\" type=\"int64\" count=\"2\"/>\n"
	"<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/>"
	"<field name=\"v2_double\" type=\"v2d\"/><field name=\"v16_int8\" type=\"v16i8\"/>"
	"<field name=\"v8_int16\" type=\"v8i16\"/><field name=\"v4_int32\" type=\"v4i32\"/>"
	"<field name=\"v2_int64\" type=\"v2i64\"/><field name=\"uint128\" type=\"uint128\"/>"
	"</union>\n";

/* ---- The descriptions ---- */

static const struct feature features64[] = {
	{"org.gnu.gdb.i386.core", "", core_flags, core64, ARRAY_SIZE(core64)},
	{NULL, "", NULL, selectors, ARRAY_SIZE(selectors)},
	{NULL, "", NULL, floats, ARRAY_SIZE(floats)},
	{"org.gnu.gdb.i386.sse", vector_types, sse_flags, sse, ARRAY_SIZE(sse)},
	{NULL, "", NULL, sse_control, ARRAY_SIZE(sse_control)},
	{"org.gnu.gdb.i386.segments", "", NULL, bases, ARRAY_SIZE(bases)},
	{"vmm.system", "", system_flags, system_regs, ARRAY_SIZE(system_regs)},
};

static const struct feature features32[] = {
	{"org.gnu.gdb.i386.core", "", core_flags, core32, ARRAY_SIZE(core32)},
	{NULL, "", NULL, selectors, ARRAY_SIZE(selectors)},
	{NULL, "", NULL, floats, ARRAY_SIZE(floats)},
	{"org.gnu.gdb.i386.sse", vector_types, sse_flags, sse, 8},
	{NULL, "", NULL, sse_control, ARRAY_SIZE(sse_control)},
	{"vmm.segments", "", NULL, bases, ARRAY_SIZE(bases)},
	{"vmm.system", "", system_flags, system_regs, ARRAY_SIZE(system_regs)},
};

static const struct feature *features_of(enum cpu_mode mode, unsigned *count)
{
	*count = mode == CPU_MODE_64 ? ARRAY_SIZE(features64) : ARRAY_SIZE(features32);
	return mode == CPU_MODE_64 ? features64 : features32;
}

static const struct gdb_reg *find_reg(enum cpu_mode mode, unsigned nth)
{
	unsigned count;
	const struct feature *features = features_of(mode, &count);

	for (unsigned i = 0; i < count; i++) {
		if (nth < features[i].count)
			return &features[i].regs[nth];
		nth -= features[i].count;
	}
	ASSERT(!"no such register");
	return NULL;
}

unsigned gdb_regs_count(enum cpu_mode mode)
{
	unsigned count, sum = 0;
	const struct feature *features = features_of(mode, &count);

	for (unsigned i = 0; i < count; i++)
		sum += features[i].count;
	return sum;
}

size_t gdb_reg_bytes(enum cpu_mode mode, unsigned nth)
{
	return find_reg(mode, nth)->bytes;
}

size_t gdb_regs_bytes(enum cpu_mode mode)
{
	size_t sum = 0;

	for (unsigned i = 0; i < gdb_regs_count(mode); i++)
		sum += gdb_reg_bytes(mode, i);
	return sum;
}

/* Appends like printf and keeps `*used` inside `size`. */
PRINTF_LIKE(4, 5)
static void append(char *text, size_t size, size_t *used, const char *format, ...)
{
	va_list list;
	int n;

	va_start(list, format);
	n = vsnprintf(text + *used, size - *used, format, list);
	va_end(list);
	if (n > 0)
		*used = MIN(*used + (size_t)n, size - 1);
}

static void append_flags(char *xml, size_t size, size_t *used, const struct flags *flags)
{
	append(xml, size, used, "<flags id=\"%s\" size=\"%u\">", flags->id, flags->bytes);
	for (const char *field = flags->fields; *field; field = strchr(field, ' ') + 1) {
		char name[16];
		unsigned from = 0, to;
		int n;

		snprintf(name, sizeof(name), "%.*s", (int)strcspn(field, "="), field);
		n = sscanf(strchr(field, '='), "=%u-%u", &from, &to);
		append(xml, size, used, "<field name=\"%s\" start=\"%u\" end=\"%u\"/>", name, from,
			n == 2 ? to : from);
	}
	append(xml, size, used, "</flags>\n");
}

size_t gdb_regs_describe(enum cpu_mode mode, char *xml, size_t size)
{
	static const char *const names[] = {
		[CPU_MODE_16] = "i8086", [CPU_MODE_32] = "i386", [CPU_MODE_64] = "i386:x86-64"};
	unsigned count;
	const struct feature *features = features_of(mode, &count);
	size_t used = 0;

	append(xml, size, &used,
		"<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n"
		"<target version=\"1.0\">\n<architecture>%s</architecture>\n<osabi>none</osabi>\n",
		names[mode]);
	for (unsigned i = 0; i < count; i++) {
		if (features[i].name)
			append(xml, size, &used, "%s<feature name=\"%s\">\n%s",
				i ? "</feature>\n" : "", features[i].name, features[i].types);
		for (const struct flags *flags = features[i].flags; flags && flags->id; flags++)
			append_flags(xml, size, &used, flags);
		for (unsigned j = 0; j < features[i].count; j++)
			append(xml, size, &used, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\"/>\n",
				features[i].regs[j].name, features[i].regs[j].bytes * 8,
				type_names[features[i].regs[j].type]);
	}
	append(xml, size, &used, "</feature>\n</target>\n");
	return used;
}

/* ---- Modes and addresses ---- */

static bool is_long(const struct cpu_regs *regs)
{
	return regs->efer & EFER_LMA;
}

static bool is_real(const struct cpu_regs *regs)
{
	return !(regs->cr0 & X86_CR0_PE) || (regs->rflags & X86_EFLAGS_VM);
}

enum cpu_mode gdb_regs_mode(const struct cpu_regs *regs)
{
	if (is_long(regs))
		return CPU_MODE_64;
	if (is_real(regs) || !(regs->segments[CPU_CS].access & CPU_ACCESS_BIG))
		return CPU_MODE_16;
	return CPU_MODE_32;
}

const char *gdb_regs_mode_name(const struct cpu_regs *regs)
{
	bool big = regs->segments[CPU_CS].access & CPU_ACCESS_BIG;

	if (is_long(regs) && regs->segments[CPU_CS].access & CPU_ACCESS_LONG)
		return "64-bit code";
	if (is_long(regs))
		return big ? "32-bit code of a 64-bit system" : "16-bit code of a 64-bit system";
	if (!(regs->cr0 & X86_CR0_PE))
		return "16-bit real mode";
	if (regs->rflags & X86_EFLAGS_VM)
		return "virtual 8086 mode";
	if (regs->cr0 & X86_CR0_PG)
		return big ? "32-bit code, paging" : "16-bit protected mode, paging";
	return big ? "32-bit code, no paging" : "16-bit protected mode";
}

static uint64_t code_base(const struct cpu_regs *regs)
{
	/* In 64-bit code the base of CS does not count. */
	if (is_long(regs) && (regs->segments[CPU_CS].access & CPU_ACCESS_LONG))
		return 0;
	return regs->segments[CPU_CS].base;
}

uint64_t gdb_regs_linear_pc(const struct cpu_regs *regs)
{
	if (is_long(regs) && (regs->segments[CPU_CS].access & CPU_ACCESS_LONG))
		return regs->rip;
	return (regs->rip + code_base(regs)) & UINT32_MAX;
}

/* ---- One register ---- */

static uint16_t full_tag(uint8_t ftw)
{
	uint16_t tag = 0;

	for (unsigned i = 0; i < 8; i++)
		if (!(ftw & 1u << i))
			tag |= (uint16_t)(3u << i * 2);
	return tag;
}

static uint8_t short_tag(uint16_t tag)
{
	uint8_t ftw = 0;

	for (unsigned i = 0; i < 8; i++)
		if ((tag >> i * 2 & 3) != 3)
			ftw |= (uint8_t)(1u << i);
	return ftw;
}

void gdb_reg_get(enum cpu_mode mode, unsigned nth, const struct cpu_regs *regs, void *bytes)
{
	const struct gdb_reg *reg = find_reg(mode, nth);
	const uint8_t *from = (const uint8_t *)regs + reg->offset;
	uint64_t value;

	memset(bytes, 0, reg->bytes);
	switch (reg->special) {
	case PLAIN:
	case SEGMENT:
		memcpy(bytes, from, MIN(reg->bytes, reg->inside));
		return;
	case LINEAR_PC:
		value = gdb_regs_linear_pc(regs);
		break;
	case FULL_TAG:
		value = full_tag(*from);
		break;
	default:
		value = load_le64(from) >> 32;
		break;
	}
	memcpy(bytes, &value, MIN(reg->bytes, sizeof(value)));
}

bool gdb_reg_find(
	enum cpu_mode mode, const char *name, const struct cpu_regs *regs, uint64_t *value)
{
	uint8_t bytes[GDB_REG_BYTES_MAX] = {0};

	*value = gdb_regs_linear_pc(regs);
	if (!strcmp(name, "pc"))
		return true;
	for (unsigned i = 0; i < gdb_regs_count(mode); i++) {
		if (strcmp(find_reg(mode, i)->name, name) != 0)
			continue;
		gdb_reg_get(mode, i, regs, bytes);
		*value = load_le64(bytes);
		return true;
	}
	return false;
}

static void set_selector(struct cpu_regs *regs, const struct gdb_reg *reg, const void *bytes)
{
	size_t nth =
		(reg->offset - offsetof(struct cpu_regs, segments)) / sizeof(struct cpu_segment);
	uint16_t selector = load_le16(bytes);

	if (selector == regs->segments[nth].selector)
		return;
	regs->segments[nth].selector = selector;
	if (is_real(regs))
		regs->segments[nth].base = (uint64_t)selector << 4;
}

void gdb_reg_set(enum cpu_mode mode, unsigned nth, struct cpu_regs *regs, const void *bytes)
{
	const struct gdb_reg *reg = find_reg(mode, nth);
	uint8_t *to = (uint8_t *)regs + reg->offset;
	uint8_t before[GDB_REG_BYTES_MAX];
	uint64_t value = 0;

	/* gdb writes all of them to change one, in a description that may cut some of them. */
	gdb_reg_get(mode, nth, regs, before);
	if (!memcmp(before, bytes, reg->bytes))
		return;
	memcpy(&value, bytes, MIN(reg->bytes, sizeof(value)));
	switch (reg->special) {
	case PLAIN:
		memset(to, 0, reg->inside);
		memcpy(to, bytes, MIN(reg->bytes, reg->inside));
		break;
	case SEGMENT:
		set_selector(regs, reg, bytes);
		break;
	case LINEAR_PC:
		regs->rip = value - code_base(regs);
		if (!is_long(regs))
			regs->rip &= UINT32_MAX;
		break;
	case FULL_TAG:
		*to = short_tag((uint16_t)value);
		break;
	case HIGH_HALF:
		store_le32(to + 4, (uint32_t)value);
		break;
	}
}
