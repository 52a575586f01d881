/*
 * A plugin of QEMU's translator that counts what the nested host executes: its kernel, its programs
 * and their guests. For tests/bench/profile, which also reads the result.
 *
 * QEMU translates code in blocks. Each block has a record, to whose counter the translated block
 * itself adds one, so that no call is made while the host runs. The records are in a file that is
 * mapped: it is complete however QEMU ends, and can be read while it runs.
 *
 * Written against QEMU 7.2, version 1 of its plugin interface (docs/devel/tcg-plugins.rst). Debian
 * ships no header of it, so the few declarations that are used stand here.
 *
 * One translating thread (`-accel tcg,thread=single`): no locks.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info_t;

enum qemu_plugin_op {
	QEMU_PLUGIN_INLINE_ADD_U64
};

void qemu_plugin_register_vcpu_tb_trans_cb(
	uint64_t id, void (*translated)(uint64_t id, struct qemu_plugin_tb *block));
void qemu_plugin_register_vcpu_tb_exec_inline(
	struct qemu_plugin_tb *block, enum qemu_plugin_op op, void *counter, uint64_t added);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
void *qemu_plugin_insn_haddr(const struct qemu_plugin_insn *insn);

#define EXPORTED __attribute__((visibility("default")))

EXPORTED extern int qemu_plugin_version;
EXPORTED int qemu_plugin_install(
	uint64_t id, const struct qemu_info_t *info, int argc, char **argv);

int qemu_plugin_version = 1;

/* As tests/bench/profile reads them. The first is not used. */
struct record {
	uint64_t address;      /* of the first instruction, as the code sees it */
	uint64_t host_address; /* the same place in QEMU's memory: tells one program from another */
	uint64_t hash;	       /* FNV-1a of the code's bytes */
	uint32_t instructions;
	uint32_t bytes;
	uint64_t executions;
	uint32_t next; /* of the same bucket; 0 for none */
	uint32_t unused;
};

enum {
	BUCKETS = 1 << 18,
	RECORDS_MAX = 1 << 21
};

static struct record *records;
static uint32_t record_count = 1;
static uint32_t buckets[BUCKETS];

static struct record describe(const struct qemu_plugin_tb *block)
{
	struct record record = {.address = qemu_plugin_tb_vaddr(block),
		.hash = UINT64_C(0xcbf29ce484222325),
		.instructions = (uint32_t)qemu_plugin_tb_n_insns(block)};

	for (size_t i = 0; i < record.instructions; i++) {
		const struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, i);
		const uint8_t *code = qemu_plugin_insn_data(insn);
		size_t size = qemu_plugin_insn_size(insn);

		if (i == 0)
			record.host_address = (uint64_t)(uintptr_t)qemu_plugin_insn_haddr(insn);
		for (size_t byte = 0; byte < size; byte++)
			record.hash = (record.hash ^ code[byte]) * UINT64_C(0x100000001b3);
		record.bytes += (uint32_t)size;
	}
	return record;
}

static void on_translated(uint64_t id, struct qemu_plugin_tb *block)
{
	struct record wanted = describe(block);
	uint32_t *bucket =
		&buckets[(wanted.address ^ wanted.address >> 18 ^ wanted.hash) % BUCKETS];
	uint32_t found = *bucket;

	(void)id;
	while (found &&
		(records[found].address != wanted.address || records[found].hash != wanted.hash ||
			records[found].host_address != wanted.host_address))
		found = records[found].next;
	if (!found) {
		/* What has no record is not counted: the reader sees that the file is full. */
		if (record_count == RECORDS_MAX)
			return;
		found = record_count++;
		wanted.next = *bucket;
		records[found] = wanted;
		*bucket = found;
	}
	qemu_plugin_register_vcpu_tb_exec_inline(
		block, QEMU_PLUGIN_INLINE_ADD_U64, &records[found].executions, 1);
}

/* The one argument is the name of the result. */
int qemu_plugin_install(uint64_t id, const struct qemu_info_t *info, int argc, char **argv)
{
	const size_t bytes = RECORDS_MAX * sizeof(*records);
	int fd;

	(void)info;
	if (argc != 1 || strncmp(argv[0], "out=", 4) != 0) {
		fprintf(stderr, "profile_plugin: out=FILE is wanted\n");
		return -1;
	}
	fd = open(argv[0] + 4, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0) {
		perror(argv[0] + 4);
		return -1;
	}
	records = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (records == MAP_FAILED) {
		perror("mmap");
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translated);
	return 0;
}
