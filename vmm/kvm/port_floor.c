/*
 * See port_floor.h. Source: Linux Documentation/virt/kvm/api.rst.
 */
#include "vmm/kvm/port_floor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
	CODE_AT = 0x1000,
	END_PORT = 0xf4,
	PAGE = 4096,
};

/* Real mode: `count` writes to port 0x3ff, the serial port's scratch register, one to the end's. */
static const uint8_t code[] = {
	0x66, 0xb9, 0, 0, 0, 0, /* mov ecx, count */
	0xba, 0xff, 0x03,	/* mov dx, 0x3ff */
	0xee,			/* out dx, al */
	0x66, 0x49,		/* dec ecx */
	0x75, 0xfb,		/* jnz to the out */
	0xe6, END_PORT,		/* out END_PORT, al */
};

struct floor {
	int kvm, vm, vcpu;
	uint8_t *page;
	struct kvm_run *run;
	int run_size;
};

static uint64_t thread_time_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static int make_machine(struct floor *floor, uint32_t writes)
{
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = CODE_AT, .memory_size = PAGE};

	floor->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	floor->vm = floor->kvm < 0 ? -1 : ioctl(floor->kvm, KVM_CREATE_VM, 0);
	if (floor->vm < 0 || ioctl(floor->vm, KVM_CREATE_IRQCHIP) < 0)
		return -errno;
	floor->page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (floor->page == MAP_FAILED)
		return -errno;
	memcpy(floor->page, code, sizeof(code));
	memcpy(floor->page + 2, &writes, sizeof(writes));
	region.userspace_addr = (uint64_t)(uintptr_t)floor->page;
	return ioctl(floor->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -errno : 0;
}

static int make_processor(struct floor *floor)
{
	struct kvm_regs regs = {.rip = CODE_AT, .rflags = 2};
	struct kvm_sregs sregs;

	floor->vcpu = ioctl(floor->vm, KVM_CREATE_VCPU, 0);
	if (floor->vcpu < 0 || ioctl(floor->vcpu, KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(floor->vcpu, KVM_SET_SREGS, &sregs) < 0 ||
		ioctl(floor->vcpu, KVM_SET_REGS, &regs) < 0)
		return -errno;
	floor->run_size = ioctl(floor->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (floor->run_size < (int)sizeof(*floor->run))
		return -EINVAL;
	floor->run = mmap(
		NULL, (size_t)floor->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, floor->vcpu, 0);
	return floor->run == MAP_FAILED ? -errno : 0;
}

static int run(struct floor *floor, uint32_t writes)
{
	for (uint64_t exits = 0; exits <= writes; exits++) {
		if (ioctl(floor->vcpu, KVM_RUN, 0) < 0)
			return -errno;
		if (floor->run->exit_reason != KVM_EXIT_IO)
			return -EIO;
		if (floor->run->io.port == END_PORT)
			return 0;
	}
	return -EIO;
}

int port_floor_measure(uint32_t writes, uint64_t *ns, struct err *err)
{
	struct floor floor = {
		.kvm = -1, .vm = -1, .vcpu = -1, .page = MAP_FAILED, .run = MAP_FAILED};
	int ret = make_machine(&floor, writes);

	if (ret == 0)
		ret = make_processor(&floor);
	if (ret == 0) {
		*ns = thread_time_ns();
		ret = run(&floor, writes);
		*ns = thread_time_ns() - *ns;
	}
	if (floor.run != MAP_FAILED)
		munmap(floor.run, (size_t)floor.run_size);
	if (floor.vcpu >= 0)
		close(floor.vcpu);
	if (floor.vm >= 0)
		close(floor.vm);
	if (floor.kvm >= 0)
		close(floor.kvm);
	if (floor.page != MAP_FAILED)
		munmap(floor.page, PAGE);
	if (ret < 0)
		return err_set(err, EXIT_CODE_KVM, -ret, "KVM can't run a loop of port writes: %s",
			strerror(-ret));
	return 0;
}
