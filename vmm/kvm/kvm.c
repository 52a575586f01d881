/*
 * See kvm.h. Knows nothing of devices or of what lies in guest memory.
 *
 * The machine's file descriptor keeps its number over a reset: without a machine
 * /dev/null stands at that number. So a device's thread that raises an interrupt
 * meanwhile needs no lock against the reset: its ioctl fails harmlessly with ENOTTY and can
 * never hit a file opened under a number that was just given up.
 *
 * The whole interrupt chip is in the kernel (not "split", with the PICs and the
 * IOAPIC here): the end of a level interrupt then needs no exit, every stock
 * kernel finds the PIC, PIT and IOAPIC it probes for, and nothing of them is
 * ours to write, save or secure. A split chip saves attack surface in the host's kernel and
 * would pay once devices use MSI only.
 */
#include "vmm/kvm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "vmm/kvm/cause.h"
#include "vmm/kvm/irqchip_impl.h"
#include "vmm/kvm/kick.h"
#include "vmm/kvm/kvm_call.h"
#include "vmm/kvm/leave.h"

/*
 * Four pages that KVM needs in guest-physical space on Intel processors that
 * can't run real mode natively: a TSS (three pages) and a page table. Just below
 * where a firmware ROM would stand; no RAM and no device is there.
 */
#define IDENTITY_MAP_ADDRESS UINT64_C(0xfffbc000)
#define TSS_ADDRESS	     UINT64_C(0xfffbd000)

/* File descriptors to make room for: devices, doorbells and 255 vCPUs. */
enum {
	FD_TABLE_SIZE = 1024
};

struct capability {
	int number;
	const char *name;
};

static const struct capability needed[] = {
	{KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP"},
	{KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
	{KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR"},
	{KVM_CAP_SET_IDENTITY_MAP_ADDR, "KVM_CAP_SET_IDENTITY_MAP_ADDR"},
	{KVM_CAP_PIT2, "KVM_CAP_PIT2"},
	{KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"},
	{KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE"},
	{KVM_CAP_IRQFD, "KVM_CAP_IRQFD"},
	{KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD"},
	{KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI"},
	{KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
};

/* Gathering facts costs a few file reads: done only when something is wrong. */
static int fail(enum kvm_cause cause, int errnum, const char *detail, struct err *err)
{
	struct host_facts facts;

	host_facts_gather(&facts);
	return kvm_cause_explain(cause, &facts, errnum, detail, err);
}

static int fail_call(const char *call, int errnum, struct err *err)
{
	char detail[120];

	snprintf(detail, sizeof(detail), "%s: %s", call, strerror(errnum));
	return fail(KVM_CAUSE_OTHER, errnum, detail, err);
}

static int open_node(struct err *err)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	struct host_facts facts;
	char detail[120];
	int errnum = errno;

	explain("open(\"/dev/kvm\") = %d: the door to KVM", fd);
	if (fd >= 0)
		return fd;
	host_facts_gather(&facts);
	snprintf(detail, sizeof(detail), "opening /dev/kvm: %s", strerror(errnum));
	return kvm_cause_explain(kvm_cause_of_open(&facts, errnum), &facts, errnum, detail, err);
}

static int check_version(int fd, struct err *err)
{
	int version = kvm_call(fd, KVM_GET_API_VERSION, 0);
	char detail[24];

	if (version < 0)
		return fail(KVM_CAUSE_NOT_KVM, errno, NULL, err);
	if (version == KVM_API_VERSION)
		return 0;
	snprintf(detail, sizeof(detail), "%d", version);
	return fail(KVM_CAUSE_WRONG_API, ENOTSUP, detail, err);
}

static int check_capabilities(int fd, struct err *err)
{
	char missing[300] = "";
	size_t used = 0;

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (ioctl(fd, KVM_CHECK_EXTENSION, needed[i].number) <= 0 && used < sizeof(missing))
			used += (size_t)snprintf(missing + used, sizeof(missing) - used, "%s%s",
				used ? ", " : "", needed[i].name);
	explain("KVM_CHECK_EXTENSION [4.4], %zu times: what vmm can't do without is %s",
		ARRAY_SIZE(needed), used ? "missing" : "there, irqfd and ioeventfd among it");
	return used ? fail(KVM_CAUSE_MISSING_CAPABILITY, ENOTSUP, missing, err) : 0;
}

static void read_limits(struct kvm *kvm)
{
	int max = ioctl(kvm->dev_fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);

	if (max <= 0)
		max = ioctl(kvm->dev_fd, KVM_CHECK_EXTENSION, KVM_CAP_NR_VCPUS);
	kvm->vcpus_max = max > 0 ? (unsigned)max : 4; /* what the API says of old kernels */
	kvm->has_sync_regs = ioctl(kvm->dev_fd, KVM_CHECK_EXTENSION, KVM_CAP_SYNC_REGS) > 0;
	kvm->has_tsc_deadline =
		ioctl(kvm->dev_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0;
}

/*
 * A table that grows while several threads use it makes the kernel wait for
 * RCU, tens of milliseconds: so it grows now. A low limit is no error.
 */
static void grow_fd_table(int fd)
{
	struct rlimit limit;
	int high, copy;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < 64)
		return;
	high = (int)MIN(limit.rlim_cur, (rlim_t)FD_TABLE_SIZE) - 1;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, high);
	if (copy >= 0)
		close(copy);
}

static int reserve_fds(struct kvm *kvm, struct err *err)
{
	kvm->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (kvm->null_fd >= 0)
		kvm->vm_fd = fcntl(kvm->null_fd, F_DUPFD_CLOEXEC, 0);
	if (kvm->vm_fd >= 0)
		return 0;
	return fail_call("opening /dev/null", errno, err);
}

static void init_tables(struct kvm *kvm)
{
	pthread_mutex_init(&kvm->lock, NULL);
	coalesce_init(&kvm->coalesce);
	for (size_t i = 0; i < KVM_GSI_COUNT; i++)
		pthread_mutex_init(&kvm->gsi[i].lock, NULL);
}

int kvm_open(struct kvm *kvm, struct err *err)
{
	int ret;

	/* Not the doorbells: most of the struct, and nothing looks behind their count. */
	memset(kvm, 0, offsetof(struct kvm, doorbells));
	kvm->vm_fd = kvm->null_fd = -1;
	init_tables(kvm);
	ret = kvm->dev_fd = open_node(err);
	if (ret < 0)
		goto fail;
	ret = check_version(kvm->dev_fd, err);
	if (ret < 0)
		goto fail;
	ret = check_capabilities(kvm->dev_fd, err);
	if (ret < 0)
		goto fail;
	read_limits(kvm);
	ret = kvm_call(kvm->dev_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (ret < (int)sizeof(struct kvm_run)) {
		ret = fail_call("KVM_GET_VCPU_MMAP_SIZE", ret < 0 ? errno : ENOTSUP, err);
		goto fail;
	}
	kvm->run_size = (size_t)ret;
	ret = reserve_fds(kvm, err);
	if (ret < 0)
		goto fail;
	grow_fd_table(kvm->dev_fd);
	kick_init();
	return 0;
fail:
	kvm_finish(kvm);
	return ret;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int await_maker(struct kvm *kvm)
{
	pthread_join(kvm->maker, NULL);
	kvm->has_maker = false;
	return kvm->made;
}

void kvm_finish(struct kvm *kvm)
{
	int made = kvm->has_maker ? await_maker(kvm) : -1;

	close_fd(&made);
	kvm->has_vm = false;
	if (!kvm->is_left)
		close_fd(&kvm->vm_fd);
	irqchip_finish(kvm);
	close_fd(&kvm->null_fd);
	close_fd(&kvm->dev_fd);
	for (size_t i = 0; i < KVM_GSI_COUNT; i++)
		pthread_mutex_destroy(&kvm->gsi[i].lock);
	coalesce_finish(&kvm->coalesce);
	pthread_mutex_destroy(&kvm->lock);
}

/* ---- The machine ---- */

static int fail_create(int errnum, struct err *err)
{
	if (errnum == EBUSY)
		return fail(KVM_CAUSE_BUSY, errnum, NULL, err);
	return fail_call("making a machine (KVM_CREATE_VM)", errnum, err);
}

/* Its descriptor, or -errno. */
static int make_vm(const struct kvm *kvm)
{
	int fd = -1;

	/* A signal for the process makes KVM give up; it is then tried again. */
	for (int tries = 0; tries < 100; tries++) {
		fd = kvm_call(kvm->dev_fd, KVM_CREATE_VM, 0);
		if (fd >= 0 || errno != EINTR)
			break;
	}
	return fd < 0 ? -errno : fd;
}

static void *make_vm_meanwhile(void *opaque)
{
	struct kvm *kvm = opaque;

	kvm->made = make_vm(kvm);
	return NULL;
}

void kvm_begin_vm(struct kvm *kvm)
{
	ASSERT(!kvm->has_vm && !kvm->has_maker);
	kvm->has_maker = pthread_create(&kvm->maker, NULL, make_vm_meanwhile, kvm) == 0;
	/* On a single processor it would else begin when we wait for it. */
	if (kvm->has_maker)
		sched_yield();
}

/* Puts a new KVM machine at the fixed descriptor number. */
static int create_at_number(struct kvm *kvm, struct err *err)
{
	int fd = kvm->has_maker ? await_maker(kvm) : make_vm(kvm), ret = 0;

	if (fd < 0)
		return fail_create(-fd, err);
	if (dup3(fd, kvm->vm_fd, O_CLOEXEC) < 0)
		ret = fail_call("dup3", errno, err);
	close(fd);
	return ret;
}

static int create_chips(struct kvm *kvm, struct err *err)
{
	uint64_t identity = IDENTITY_MAP_ADDRESS;
	struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};

	/* First of all: later calls on a machine with chips cost more. */
	if (kvm_call(kvm->vm_fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return fail_call("making the interrupt chip (KVM_CREATE_IRQCHIP)", errno, err);
	/* The speaker's port 0x61 is KVM's as well: it also gates and shows PIT channel 2. */
	if (!kvm->no_pit && kvm_call(kvm->vm_fd, KVM_CREATE_PIT2, &pit) < 0)
		return fail_call("making the timer chip (KVM_CREATE_PIT2)", errno, err);
	if (kvm_call(kvm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0)
		return fail_call("KVM_SET_IDENTITY_MAP_ADDR", errno, err);
	if (kvm_call(kvm->vm_fd, KVM_SET_TSS_ADDR, TSS_ADDRESS) < 0)
		return fail_call("KVM_SET_TSS_ADDR", errno, err);
	return 0;
}

static int apply_slot(struct kvm *kvm, unsigned number, const struct kvm_slot *slot)
{
	struct kvm_userspace_memory_region region = {.slot = number,
		.guest_phys_addr = slot->gpa,
		.memory_size = slot->size,
		.userspace_addr = (uint64_t)(uintptr_t)slot->host};

	if (slot->flags & KVM_MEMORY_READ_ONLY)
		region.flags |= KVM_MEM_READONLY;
	if (slot->flags & KVM_MEMORY_LOG_WRITES)
		region.flags |= KVM_MEM_LOG_DIRTY_PAGES;
	return kvm_call(kvm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -errno : 0;
}

static int fail_slot(const struct kvm_slot *slot, int errnum, struct err *err)
{
	char detail[200];

	snprintf(detail, sizeof(detail), "showing the guest %llu KiB of memory at 0x%llx: %s",
		(unsigned long long)(slot->size / KIB), (unsigned long long)slot->gpa,
		strerror(errnum));
	return fail(KVM_CAUSE_OTHER, errnum, detail, err);
}

static int apply_slots(struct kvm *kvm, struct err *err)
{
	for (unsigned i = 0; i < KVM_SLOTS_MAX; i++) {
		int ret;

		if (!kvm->slots[i].used)
			continue;
		ret = apply_slot(kvm, i, &kvm->slots[i]);
		if (ret < 0)
			return fail_slot(&kvm->slots[i], -ret, err);
	}
	return 0;
}

static void read_tsc_rate(struct kvm *kvm)
{
	int khz = ioctl(kvm->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_GET_TSC_KHZ) > 0
		? kvm_call(kvm->vm_fd, KVM_GET_TSC_KHZ, 0)
		: 0;

	kvm->tsc_khz = khz > 0 ? (unsigned)khz : 0;
}

static void drop_vm(struct kvm *kvm)
{
	/* First, so that from now on no doorbell or line is connected to it. */
	pthread_mutex_lock(&kvm->lock);
	kvm->has_vm = false;
	pthread_mutex_unlock(&kvm->lock);
	dup3(kvm->null_fd, kvm->vm_fd, O_CLOEXEC);
}

int kvm_create_vm(struct kvm *kvm, struct err *err)
{
	int ret;

	ASSERT(!kvm->has_vm);
	ret = create_at_number(kvm, err);
	if (ret < 0)
		return ret;
	ret = create_chips(kvm, err);
	if (ret < 0)
		goto fail;
	read_tsc_rate(kvm);
	ret = apply_slots(kvm, err);
	if (ret < 0)
		goto fail;
	ret = irqchip_apply(kvm);
	if (ret < 0) {
		ret = fail_call("connecting interrupts and doorbells", -ret, err);
		goto fail;
	}
	return 0;
fail:
	drop_vm(kvm);
	return ret;
}

void kvm_destroy_vm(struct kvm *kvm)
{
	if (kvm->has_vm)
		drop_vm(kvm);
}

void kvm_leave_vm(struct kvm *kvm)
{
	if (!kvm->has_vm)
		return;
	pthread_mutex_lock(&kvm->lock);
	kvm->has_vm = false;
	pthread_mutex_unlock(&kvm->lock);
	kvm->is_left = true;
	leave_keep_vm(kvm->vm_fd);
}

int kvm_set_memory(struct kvm *kvm, unsigned slot, uint64_t gpa, uint64_t size, void *host,
	unsigned flags, struct err *err)
{
	struct kvm_slot wanted = {
		.used = size > 0, .gpa = gpa, .size = size, .host = host, .flags = flags};
	int ret = 0;

	ASSERT(slot < KVM_SLOTS_MAX);
	if (kvm->has_vm && (wanted.used || kvm->slots[slot].used))
		ret = apply_slot(kvm, slot, &wanted);
	if (ret < 0)
		return fail_slot(&wanted, -ret, err);
	kvm->slots[slot] = wanted;
	return 0;
}

void *kvm_find_memory(const struct kvm *kvm, uint64_t gpa, uint64_t len)
{
	for (unsigned i = 0; i < KVM_SLOTS_MAX; i++) {
		const struct kvm_slot *slot = &kvm->slots[i];

		if (slot->used && gpa >= slot->gpa &&
			util_range_inside(gpa - slot->gpa, len, slot->size))
			return (uint8_t *)slot->host + (gpa - slot->gpa);
	}
	return NULL;
}

int kvm_take_dirty(struct kvm *kvm, unsigned slot, uint64_t *bitmap)
{
	struct kvm_dirty_log log = {.slot = slot, .dirty_bitmap = bitmap};

	/* Without a machine the number stands for /dev/null, which knows no such call. */
	return ioctl(kvm->vm_fd, KVM_GET_DIRTY_LOG, &log) < 0 ? -errno : 0;
}
