/*
 * See vcpu_stats.h. KVM's counters come by a file of their own. Opening it waits until the processor
 * is out of the guest, so its own thread does that, when somebody asks for the first time; reading
 * it waits for nobody.
 */
#include "vmm/kvm/vcpu_stats.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "vmm/kvm/vcpu_impl.h"

enum {
	FILE_MAX = 16384 /* of which KVM's takes about a third */
};

static void take(const char *name, uint64_t value, struct vcpu_stats *stats)
{
#define TAKE(field, known)                                                                         \
	if (!strcmp(name, known))                                                                  \
		stats->field = value;
	VCPU_KVM_STAT_TABLE(TAKE)
#undef TAKE
}

/* The file: a header, descriptions that end with a name of fixed length, and the values. */
static bool parse(const uint8_t *file, size_t len, struct vcpu_stats *stats)
{
	struct kvm_stats_header header;
	struct kvm_stats_desc desc;
	size_t size, at;

	if (len < sizeof(header))
		return false;
	memcpy(&header, file, sizeof(header));
	size = sizeof(desc) + header.name_size;
	if (!header.name_size || header.num_desc > FILE_MAX / size ||
		!util_range_inside(header.desc_offset, header.num_desc * size, len))
		return false;
	for (uint32_t i = 0; i < header.num_desc; i++) {
		const uint8_t *entry = file + header.desc_offset + i * size;

		memcpy(&desc, entry, sizeof(desc));
		at = (size_t)header.data_offset + desc.offset;
		if (entry[size - 1] == 0 && util_range_inside(at, sizeof(uint64_t), len))
			take((const char *)entry + sizeof(desc), load_le64(file + at), stats);
	}
	return true;
}

static uint64_t thread_time_ns(const struct vcpu *vcpu)
{
	struct timespec ts;
	clockid_t clock;

	if (!vcpu->has_thread || pthread_getcpuclockid(vcpu->thread, &clock) ||
		clock_gettime(clock, &ts))
		return 0;
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

/* "RUN WAIT SLICES", in nanoseconds: Documentation/scheduler/sched-stats.rst. */
static uint64_t wait_time_ns(const struct vcpu *vcpu)
{
	unsigned long long run_ns, wait_ns;
	char path[64], text[80];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/schedstat", (int)vcpu->tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[MAX(len, 0)] = '\0';
	return sscanf(text, "%llu %llu", &run_ns, &wait_ns) == 2 ? wait_ns : 0;
}

void vcpu_open_stats(struct vcpu *vcpu)
{
	int fd = ioctl(vcpu->fd, KVM_GET_STATS_FD, NULL);

	pthread_mutex_lock(&vcpu->lock);
	vcpu->tid = gettid();
	atomic_store(&vcpu->stats_fd, fd < 0 ? VCPU_STATS_NONE : fd);
	atomic_fetch_and(&vcpu->wants, ~(unsigned)VCPU_WANT_STATS);
	pthread_mutex_unlock(&vcpu->lock);
}

void vcpu_get_stats(struct vcpu *vcpu, struct vcpu_stats *stats)
{
	int fd = atomic_load(&vcpu->stats_fd);
	uint8_t file[FILE_MAX];
	ssize_t len;

	*stats = (struct vcpu_stats){
		.run_ns = thread_time_ns(vcpu), .kvm_is_coming = fd == VCPU_STATS_UNASKED};
	if (fd == VCPU_STATS_UNASKED)
		vcpu_want(vcpu, VCPU_WANT_STATS);
	else
		stats->wait_ns = wait_time_ns(vcpu);
	if (fd < 0)
		return;
	len = pread(fd, file, sizeof(file), 0);
	stats->has_kvm = len > 0 && parse(file, (size_t)len, stats);
}
