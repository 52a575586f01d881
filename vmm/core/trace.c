/*
 * See trace.h. Knows nothing of KVM, and of devices their names and resources.
 *
 * The producers of the shared ring hold `host_lock`; each other ring belongs to one thread. The
 * writer's thread is woken when a ring is half full, and looks after all of them every
 * LOOK_EVERY_MS in any case, so that a file that is being written is never far behind.
 */
#include "vmm/core/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/log.h"
#include "vmm/core/device.h"
#include "vmm/core/irq.h"
#include "vmm/core/trace_ring.h"

enum {
	LOOK_EVERY_MS = 100,
	STALL_MS = 5000, /* a pipe whose reader takes nothing for so long has none */
	WAIT_STEP_NS = 50000,
};

/* A ring, and what its producer has to say as soon as there is room. */
struct source {
	struct trace_ring ring;
	uint64_t lost;
	uint64_t lost_at_ns;
};

struct tapped_line {
	struct irq_line inner;
	struct trace *trace;
	uint16_t device;
	struct tapped_line *next;
};

struct trace {
	char *path;
	int fd;
	int wake_fd; /* eventfd */
	uint64_t zero_ns;
	uint64_t written; /* bytes of the file */
	unsigned cpu_count;
	struct source *sources; /* of the processors, and at cpu_count of all others */
	pthread_mutex_t host_lock;
	struct tapped_line *lines; /* owned */
	pthread_t writer;
	bool has_writer;
	bool records;
	_Atomic uint64_t seq; /* of the recording */
	_Atomic bool is_ending;
	_Atomic bool has_failed; /* nothing is noted any more */
};

/* The processor whose thread this is. */
static _Thread_local unsigned own_cpu = TRACE_SOURCE_HOST;

/* ---- The file ---- */

/* Waits until `data` is written; a regular file is always ready, a pipe may never be. */
static int write_all(struct trace *trace, const void *data, size_t bytes)
{
	const uint8_t *at = data;

	while (bytes) {
		struct pollfd ready = {.fd = trace->fd, .events = POLLOUT};
		ssize_t done = write(trace->fd, at, bytes);

		if (done < 0 && errno == EAGAIN && poll(&ready, 1, STALL_MS) == 0)
			return -ETIMEDOUT;
		if (done < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (done <= 0)
			continue;
		at += done;
		bytes -= (size_t)done;
		trace->written += (uint64_t)done;
	}
	return 0;
}

static void write_out(struct trace *trace, const void *data, size_t bytes)
{
	int ret;

	if (atomic_load_explicit(&trace->has_failed, memory_order_relaxed))
		return;
	ret = write_all(trace, data, bytes);
	if (ret == 0)
		return;
	atomic_store(&trace->has_failed, true);
	log_error("the trace %.200s ends here, after %llu KiB: %s; the machine runs on",
		trace->path, (unsigned long long)(trace->written / KIB),
		ret == -ETIMEDOUT ? "nobody reads it" : strerror(-ret));
}

static void write_record(
	struct trace *trace, const void *record, size_t bytes, const void *more, size_t more_bytes)
{
	static const uint8_t zeroes[8];
	size_t sum = bytes + more_bytes;

	write_out(trace, record, bytes);
	write_out(trace, more, more_bytes);
	write_out(trace, zeroes, util_align_up(sum, sizeof(zeroes)) - sum);
}

/* A person may have named a disk by mistake. */
static bool may_be_emptied(int fd)
{
	char magic[TRACE_MAGIC_BYTES];
	int64_t bytes = util_pread_full(fd, magic, sizeof(magic), 0);

	return bytes == 0 || (bytes == sizeof(magic) && !memcmp(magic, TRACE_MAGIC, sizeof(magic)));
}

static int refuse_file(const char *path, int errnum, struct err *err)
{
	err_set(err, EXIT_CODE_DEVICE, errnum, "can't write the trace %.200s: %s", path,
		errnum == ENXIO ? "it is a FIFO or socket that nobody reads" : strerror(errnum));
	return -errnum;
}

static int open_file(struct trace *trace, struct err *err)
{
	const int flags = O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	struct stat stat;

	/* To read is to look at what is there; a FIFO may be written only. */
	if (lstat(trace->path, &stat) < 0 || S_ISREG(stat.st_mode) || S_ISLNK(stat.st_mode))
		trace->fd = open(trace->path, flags | O_RDWR, 0666);
	else
		trace->fd = open(trace->path, flags | O_WRONLY, 0666);
	if (trace->fd < 0 && errno == EACCES)
		trace->fd = open(trace->path, flags | O_WRONLY, 0666);
	if (trace->fd < 0 || fstat(trace->fd, &stat) < 0)
		return refuse_file(trace->path, errno, err);
	if (S_ISBLK(stat.st_mode))
		return err_set(err, EXIT_CODE_DEVICE, EEXIST,
			"--trace: %.200s is a disk, so it is left alone", trace->path);
	if (!S_ISREG(stat.st_mode))
		return 0;
	if (!may_be_emptied(trace->fd)) {
		err_set(err, EXIT_CODE_DEVICE, EEXIST,
			"--trace: %.200s is there already and is no trace, so it is left alone",
			trace->path);
		err_hint(err, "give another FILE, or remove this one");
		return -EEXIST;
	}
	return ftruncate(trace->fd, 0) < 0 ? refuse_file(trace->path, errno, err) : 0;
}

static void write_header(struct trace *trace)
{
	struct trace_header header = {.version = TRACE_VERSION,
		.header_bytes = sizeof(header),
		.cpus = trace->cpu_count,
		.flags = trace->records ? TRACE_FLAG_RECORD : 0};
	struct timespec now;

	memcpy(header.magic, TRACE_MAGIC, sizeof(header.magic));
	clock_gettime(CLOCK_REALTIME, &now);
	trace->zero_ns = header.zero_ns = util_now_ns();
	header.realtime_ns = (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
	write_out(trace, &header, sizeof(header));
}

/* What is noted before the writer is started waits for it in the rings. */
static bool make_rings(struct trace *trace)
{
	if (!trace->path || !trace->sources)
		return false;
	for (unsigned i = 0; i <= trace->cpu_count; i++)
		if (!trace_ring_init(&trace->sources[i].ring))
			return false;
	trace->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return trace->wake_fd >= 0;
}

int trace_open(struct trace **out, const struct trace_config *config, struct err *err)
{
	struct trace *trace = calloc(1, sizeof(*trace));
	int ret;

	*out = NULL;
	if (!trace)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the trace");
	trace->fd = trace->wake_fd = -1;
	trace->cpu_count = config->cpus;
	trace->records = config->records;
	pthread_mutex_init(&trace->host_lock, NULL);
	trace->path = strdup(config->path);
	trace->sources = calloc(config->cpus + 1, sizeof(*trace->sources));
	ret = make_rings(trace)
		? open_file(trace, err)
		: err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory or descriptor for the trace");
	if (ret < 0) {
		trace_close(trace);
		return ret;
	}
	write_header(trace);
	*out = trace;
	return 0;
}

void trace_add_fact(struct trace *trace, const char *key, const char *value)
{
	char text[16384];
	int bytes = snprintf(text, sizeof(text), "%s=%s", key, value);
	struct trace_record record = {.type = TRACE_FACT, .source = TRACE_SOURCE_HOST};

	ASSERT(bytes > 0);
	record.bytes = (uint32_t)(sizeof(record) + MIN((size_t)bytes, sizeof(text) - 1));
	write_record(trace, &record, sizeof(record), text, record.bytes - sizeof(record));
}

void trace_add_device(struct trace *trace, const struct device *device)
{
	static const uint32_t kinds[] = {[DEVICE_RES_PIO] = TRACE_RES_PIO,
		[DEVICE_RES_MMIO] = TRACE_RES_MMIO,
		[DEVICE_RES_IRQ] = TRACE_RES_IRQ};
	struct trace_res res[DEVICE_RES_MAX];
	struct trace_device record = {
		.record = {.type = TRACE_DEVICE, .source = TRACE_SOURCE_HOST},
		.number = device->number,
		.res_count = (uint16_t)device->res_count,
	};
	size_t bytes = device->res_count * sizeof(res[0]);

	record.record.bytes = (uint32_t)(sizeof(record) + bytes);
	snprintf(record.name, sizeof(record.name), "%s", device->name);
	snprintf(record.class_name, sizeof(record.class_name), "%s", device->class->name);
	for (unsigned i = 0; i < device->res_count; i++)
		res[i] = (struct trace_res){.kind = kinds[device->res[i].kind],
			.level = device->res[i].level,
			.base = device->res[i].base,
			.size = device->res[i].size};
	write_record(trace, &record, sizeof(record), res, bytes);
}

/* ---- The writer's thread ---- */

static void drain(struct trace *trace, struct trace_ring *ring)
{
	/* Whole records: one that comes meanwhile, over the ring's end, would be cut there. */
	size_t left = trace_ring_used(ring);

	while (left) {
		const uint8_t *piece;
		size_t bytes = MIN(trace_ring_peek(ring, &piece), left);

		write_out(trace, piece, bytes);
		trace_ring_drop(ring, bytes);
		left -= bytes;
	}
}

static struct trace_lost lost_record(const struct source *source, uint16_t number)
{
	return (struct trace_lost){.record = {.type = TRACE_LOST,
					   .source = number,
					   .bytes = sizeof(struct trace_lost)},
		.time_ns = source->lost_at_ns,
		.count = source->lost};
}

static void drain_all(struct trace *trace)
{
	for (unsigned i = 0; i <= trace->cpu_count; i++)
		drain(trace, &trace->sources[i].ring);
}

static void *writer_thread(void *opaque)
{
	struct trace *trace = opaque;
	struct pollfd woken = {.fd = trace->wake_fd, .events = POLLIN};
	eventfd_t count;

	while (!atomic_load(&trace->is_ending)) {
		drain_all(trace);
		if (poll(&woken, 1, LOOK_EVERY_MS) > 0)
			(void)eventfd_read(trace->wake_fd, &count);
	}
	return NULL;
}

int trace_start(struct trace *trace, struct err *err)
{
	int ret = pthread_create(&trace->writer, NULL, writer_thread, trace);
	if (ret)
		return err_set(err, EXIT_CODE_INTERNAL, ret, "can't start the trace's thread: %s",
			strerror(ret));
	trace->has_writer = true;
	pthread_setname_np(trace->writer, "trace");
	return 0;
}

/* With nobody else left that notes anything. */
static void write_end(struct trace *trace)
{
	struct trace_moment end = {
		.record = {.type = TRACE_END, .source = TRACE_SOURCE_HOST, .bytes = sizeof(end)},
		.time_ns = trace_now_ns(trace)};

	drain_all(trace);
	for (unsigned i = 0; i <= trace->cpu_count; i++) {
		struct trace_lost lost = lost_record(&trace->sources[i],
			(uint16_t)(i < trace->cpu_count ? i : TRACE_SOURCE_HOST));

		if (lost.count)
			write_out(trace, &lost, sizeof(lost));
	}
	write_out(trace, &end, sizeof(end));
}

void trace_close(struct trace *trace)
{
	if (!trace)
		return;
	if (trace->has_writer) {
		atomic_store(&trace->is_ending, true);
		(void)eventfd_write(trace->wake_fd, 1);
		pthread_join(trace->writer, NULL);
		write_end(trace);
	}
	for (unsigned i = 0; trace->sources && i <= trace->cpu_count; i++)
		trace_ring_finish(&trace->sources[i].ring);
	while (trace->lines) {
		struct tapped_line *line = trace->lines;

		trace->lines = line->next;
		free(line);
	}
	if (trace->wake_fd >= 0)
		close(trace->wake_fd);
	if (trace->fd >= 0)
		close(trace->fd);
	pthread_mutex_destroy(&trace->host_lock);
	free(trace->sources);
	free(trace->path);
	free(trace);
}

/* ---- Noting ---- */

void trace_attach(struct trace *trace, unsigned cpu)
{
	ASSERT(cpu < trace->cpu_count);
	own_cpu = cpu;
}

uint64_t trace_now_ns(const struct trace *trace)
{
	return util_now_ns() - trace->zero_ns;
}

/* A record, whose last bytes may lie elsewhere. */
struct parcel {
	struct trace_record *record;
	const void *more;
	size_t more_bytes;
};

static bool put_once(struct trace *trace, struct source *source, const struct parcel *parcel)
{
	bool is_half,
		done = trace_ring_put(&source->ring, parcel->record,
			parcel->record->bytes - parcel->more_bytes, parcel->more,
			parcel->more_bytes, &is_half);

	if (is_half)
		(void)eventfd_write(trace->wake_fd, 1);
	return done;
}

static bool put_patiently(struct trace *trace, struct source *source, const struct parcel *parcel)
{
	const struct timespec step = {.tv_nsec = WAIT_STEP_NS};
	uint64_t end_ns;

	if (put_once(trace, source, parcel))
		return true;
	end_ns = util_now_ns() + TRACE_WAIT_MS * UINT64_C(1000000);
	(void)eventfd_write(trace->wake_fd, 1);
	while (util_now_ns() < end_ns) {
		nanosleep(&step, NULL);
		if (put_once(trace, source, parcel))
			return true;
	}
	return false;
}

/* Who has waited in vain waits no more until the ring is half empty. */
static bool end_of_loss(
	struct trace *trace, struct source *source, const struct trace_record *record)
{
	struct trace_lost lost = lost_record(source, record->source);

	if (!source->lost)
		return true;
	if (trace_ring_room(&source->ring) < TRACE_RING_BYTES / 2 ||
		!put_once(trace, source, &(struct parcel){.record = &lost.record}))
		return false;
	source->lost = 0;
	return true;
}

static void put_to(struct trace *trace, struct source *source, const struct parcel *parcel)
{
	if (end_of_loss(trace, source, parcel->record) && put_patiently(trace, source, parcel))
		return;
	if (!source->lost++)
		source->lost_at_ns = trace_now_ns(trace);
}

static void put_parcel(struct trace *trace, const struct parcel *parcel)
{
	if (atomic_load_explicit(&trace->has_failed, memory_order_relaxed))
		return;
	parcel->record->source = (uint16_t)own_cpu;
	if (own_cpu < trace->cpu_count) {
		put_to(trace, &trace->sources[own_cpu], parcel);
		return;
	}
	parcel->record->source = TRACE_SOURCE_HOST;
	pthread_mutex_lock(&trace->host_lock);
	put_to(trace, &trace->sources[trace->cpu_count], parcel);
	pthread_mutex_unlock(&trace->host_lock);
}

static void put(struct trace *trace, struct trace_record *record)
{
	put_parcel(trace, &(struct parcel){.record = record});
}

static void put_moment(struct trace *trace, uint8_t type)
{
	struct trace_moment moment = {
		.record = {.type = type, .bytes = sizeof(moment)}, .time_ns = trace_now_ns(trace)};

	put(trace, &moment.record);
}

void trace_note_exit(struct trace *trace, struct trace_exit *exit)
{
	exit->record = (struct trace_record){.type = TRACE_EXIT, .bytes = sizeof(*exit)};
	put(trace, &exit->record);
}

void trace_note_kick(
	struct trace *trace, const struct device *device, unsigned queue, uint64_t began_ns)
{
	struct trace_kick kick = {.record = {.type = TRACE_KICK, .bytes = sizeof(kick)},
		.time_ns = began_ns,
		.took_ns = (uint32_t)MIN(trace_now_ns(trace) - began_ns, (uint64_t)UINT32_MAX),
		.device = device->number,
		.queue = (uint16_t)queue};

	put(trace, &kick.record);
}

void trace_note_reset(struct trace *trace)
{
	put_moment(trace, TRACE_RESET);
}

uint64_t trace_next_seq(struct trace *trace)
{
	return atomic_fetch_add_explicit(&trace->seq, 1, memory_order_relaxed);
}

void trace_note_tape(struct trace *trace, struct trace_tape *tape, const void *bytes, size_t count)
{
	tape->record = (struct trace_record){
		.type = TRACE_TAPE, .bytes = (uint32_t)(sizeof(*tape) + count)};
	put_parcel(trace, &(struct parcel){&tape->record, bytes, count});
}

/* ---- Interrupt lines ---- */

static void note_irq(const struct tapped_line *line, enum trace_irq_what what)
{
	struct trace_irq irq = {.record = {.type = TRACE_IRQ, .bytes = sizeof(irq)},
		.time_ns = trace_now_ns(line->trace),
		.device = line->device,
		.gsi = (uint16_t)line->inner.gsi,
		.what = what};

	if (line->trace->records)
		trace_note_tape(line->trace,
			&(struct trace_tape){.seq = trace_next_seq(line->trace),
				.addr = line->inner.gsi,
				.value = what,
				.device = line->device,
				.kind = TRACE_TAPE_LINE},
			NULL, 0);
	/* Devices that settle while the machine is built are no news. */
	if (line->trace->has_writer)
		put(line->trace, &irq.record);
}

static void tapped_set(struct irq_line *line, bool level)
{
	struct tapped_line *tapped = line->opaque;

	note_irq(tapped, level ? TRACE_IRQ_HIGH : TRACE_IRQ_LOW);
	irq_set(&tapped->inner, level);
}

static void tapped_pulse(struct irq_line *line)
{
	struct tapped_line *tapped = line->opaque;

	note_irq(tapped, TRACE_IRQ_PULSE);
	irq_pulse(&tapped->inner);
}

static int tapped_pulse_fd(const struct irq_line *line)
{
	const struct tapped_line *tapped = line->opaque;

	return tapped->inner.pulse_fd(&tapped->inner);
}

int trace_tap_irq(
	struct trace *trace, const struct device *device, struct irq_line *line, struct err *err)
{
	struct tapped_line *tapped = calloc(1, sizeof(*tapped));

	if (!tapped)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the trace");
	*tapped = (struct tapped_line){
		.inner = *line, .trace = trace, .device = device->number, .next = trace->lines};
	trace->lines = tapped;
	*line = (struct irq_line){.set = tapped_set,
		.pulse = tapped_pulse,
		.pulse_fd = line->pulse_fd ? tapped_pulse_fd : NULL,
		.opaque = tapped,
		.gsi = line->gsi};
	return 0;
}
