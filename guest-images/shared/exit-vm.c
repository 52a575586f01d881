/*
 * exit-vm N: ends the virtual machine with exit status N.
 *
 * Writes the status to the debug-exit port 0xf4 after flushing every file system. Debian's
 * kernels have no /dev/port, so the port is opened with ioperm(2). Built without a C library:
 * the guest has none, and a static one would be a thousand times larger than this program.
 * It does not know whether the machine has such a device: when it is still there a second later,
 * there was none.
 */
#include <asm/unistd.h>
#include <linux/time_types.h>

enum {
	EXIT_PORT = 0xf4,
	STDERR = 2,
};

static long call(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}

static int complain(const char *text)
{
	long length = 0;

	while (text[length])
		length++;
	call(__NR_write, STDERR, (long)text, length);
	return 1;
}

/* Returns 0 to 255, or -1 when the text is no such number. */
static int parse_status(const char *text)
{
	int value = 0;

	if (!text || !*text)
		return -1;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		value = value * 10 + (*text - '0');
		if (value > 255)
			return -1;
	}
	return value;
}

/* The kernel's initial stack: argc, then the argument pointers. */
__attribute__((used, noreturn)) static void run(const long *stack)
{
	/* The machine may need a moment to stop the processor that wrote. */
	static const struct __kernel_timespec second = {.tv_sec = 1};
	int status = stack[0] == 2 ? parse_status((const char *)stack[2]) : -1;
	int result;

	if (status < 0) {
		result = complain("usage: exit-vm N (0 to 255)\n");
	} else if (call(__NR_ioperm, EXIT_PORT, 1, 1)) {
		result = complain("exit-vm: no permission for port 0xf4: run it as root\n");
	} else {
		call(__NR_sync, 0, 0, 0);
		__asm__ volatile("outb %b0, %w1" : : "a"(status), "Nd"(EXIT_PORT));
		call(__NR_nanosleep, (long)&second, 0, 0);
		result = complain("exit-vm: this machine has no debug-exit device at 0xf4\n");
	}
	for (;;)
		call(__NR_exit, result, 0, 0);
}

__asm__(".globl _start\n"
	"_start:\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call run\n");
