/* Programs in ring 3, and what the kernel does for them. */
#include "user.h"

enum {
	STACK_BYTES = 8192,
};

/* entry.S */
int enter_user(uint64_t rip, uint64_t rsp);
_Noreturn void leave_user(int status);
void syscall_entry(void);
int64_t syscall_dispatch(uint64_t number, uint64_t first, uint64_t second);

/* For all that comes from ring 3. It is empty whenever a program runs. */
static uint8_t stack[STACK_BYTES] __attribute__((aligned(16)));
uint8_t *const kernel_stack_top = stack + STACK_BYTES;

/* The task state segment (SDM volume 3, 7.7). */
struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1, ist[7], reserved2;
	uint16_t reserved3, io_map;
} __attribute__((packed));

/* What lgdt wants. */
struct table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

/* Step 1 */
void segments_init(void)
{
}

/* Step 2 */
void user_pages_init(void)
{
}

/* Step 3 */
int user_run(void)
{
	print("user_run() runs nothing yet\n");
	return enter_user(USER_CODE, USER_STACK_TOP);
}

/* Step 6. Whoever returns comes back for ever. */
struct frame *user_exception(struct frame *frame)
{
	(void)frame;
	exit_vm(6);
}

/* Step 4. The registers are EFER (0xc0000080), STAR, LSTAR and, after a gap, FMASK. */
void syscalls_init(void)
{
}

/* Steps 4 and 7: called by syscall_entry. */
int64_t syscall_dispatch(uint64_t number, uint64_t first, uint64_t second)
{
	(void)number;
	(void)first;
	(void)second;
	return -1;
}
