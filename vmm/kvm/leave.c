/*
 * See leave.h. The second process has to be the last with the table of descriptors, whatever
 * becomes of the first: the kernel kills it by the signal for a parent's death, which it sends when
 * the parent has given up its descriptors, before its own parent hears of it.
 *
 * Sources: clone(2), PR_SET_PDEATHSIG in prctl(2), close_range(2).
 */
#include "vmm/kvm/leave.h"

#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/base/util.h"

enum {
	STACK_BYTES = 16384
};

/* A sanitizer looks for leaks in exit(), and has something to say then. */
#ifdef VMM_SANITIZED
static const bool is_sanitized = true;
#else
static const bool is_sanitized = false;
#endif

static int left_fd = -1;
static pid_t parent;
static _Atomic uint32_t is_ready;

void leave_keep_vm(int vm_fd)
{
	ASSERT(left_fd < 0);
	left_fd = vm_fd;
}

/* Runs in the second process, on memory and thread-local storage of the first: calls only. */
static int outlive(void *opaque)
{
	(void)opaque;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* It may have been killed before that. */
	if (getppid() != parent)
		_exit(0);
	atomic_store(&is_ready, 1);
	syscall(SYS_futex, &is_ready, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	for (;;)
		pause();
	return 0;
}

static bool close_others(unsigned fd)
{
	if (fd > 0 && close_range(0, fd - 1, 0) < 0)
		return false;
	return close_range(fd + 1, ~0u, 0) == 0;
}

void leave_vm_behind(void)
{
	static uint8_t stack[STACK_BYTES] __attribute__((aligned(16)));
	sigset_t all;

	if (is_sanitized || left_fd < 0 || !close_others((unsigned)left_fd))
		return;
	/* What is meant for this process and its group must not end the second before it. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	parent = getpid();
	if (clone(outlive, stack + STACK_BYTES, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND,
		    NULL) < 0)
		return;
	while (!atomic_load(&is_ready))
		syscall(SYS_futex, &is_ready, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}
