/*
 * up: the smallest init. Says "up" on the console and ends the machine, by power-off; with the word
 * `restart` on the kernel's command line after `--`, by a reset; with the word `wait` it sleeps for
 * ever instead. As any other process than the first it only ends itself, so it can be the one
 * program of a container too, or be run by hand.
 *
 * What a machine's start costs is measured with it (vmm bench), so it does nothing else: no C
 * library, no mount. It takes for granted that the kernel opened /dev/console for it, for which an
 * initramfs has that node.
 */
#include <asm/unistd.h>
#include <linux/reboot.h>

static long call(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}

/* The kernel's initial stack: argc, then the argument pointers. */
__attribute__((used, noreturn)) static void run(const long *stack)
{
	static const char text[] = "up\n";
	char word = stack[0] > 1 ? *(const char *)stack[2] : 'p';
	long how = word == 'r' ? LINUX_REBOOT_CMD_RESTART : LINUX_REBOOT_CMD_POWER_OFF;

	call(__NR_write, 1, (long)text, sizeof(text) - 1);
	if (word == 'w')
		for (;;)
			call(__NR_pause, 0, 0, 0);
	if (call(__NR_getpid, 0, 0, 0) == 1)
		call(__NR_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, how);
	for (;;)
		call(__NR_exit, 0, 0, 0);
}

__asm__(".globl _start\n"
	"_start:\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call run\n");
