/*
 * See trace_file.h.
 *
 * Threats
 *   what a file can hold              limit                               where          test
 *   more than memory                  TRACE_FILE_BYTES_MAX                read_all       -
 *   lengths that are none             a record's, the file's              step           lengths_*
 *   numbers of no device, CPU, reason replaced by NONE, HOST, OTHER       take_event     numbers_*
 *   many or equal devices and facts   the tables' sizes; refused          take_device    too_many_*
 *   texts with control characters     shown as '?'                        take_fact,     texts_*
 *                                                                         take_device
 */
#include "vmm/tools/trace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	PIECE_BYTES = 1 << 16,
};

/* ---- Reading ---- */

static int fail_memory(const char *name, struct err *err)
{
	return err_set(err, EXIT_CODE_IMAGE, ENOMEM, "no memory for the trace %.200s", name);
}

static int read_all(int fd, const char *name, uint8_t **bytes, size_t *count, struct err *err)
{
	size_t room = 0;

	*bytes = NULL;
	*count = 0;
	for (;;) {
		ssize_t got;

		if (room - *count < PIECE_BYTES) {
			uint8_t *grown = realloc(*bytes, room * 2 + 2 * (size_t)PIECE_BYTES);

			if (!grown)
				return fail_memory(name, err);
			*bytes = grown;
			room = room * 2 + 2 * (size_t)PIECE_BYTES;
		}
		got = read(fd, *bytes + *count, room - *count);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_set(err, EXIT_CODE_IMAGE, errno,
				"can't read the trace %.200s: %s", name, strerror(errno));
		if (!got)
			return 0;
		*count += (size_t)got;
		if (*count > TRACE_FILE_BYTES_MAX)
			return err_set(err, EXIT_CODE_IMAGE, EFBIG,
				"the trace %.200s is longer than %llu GiB, which is the most that "
				"can be looked at in one",
				name, (unsigned long long)(TRACE_FILE_BYTES_MAX / GIB));
	}
}

/* ---- Checking ---- */

static int refuse(const struct trace_file *file, const char *name, const void *at,
	const char *wrong, struct err *err)
{
	err_set(err, EXIT_CODE_IMAGE, EINVAL, "the trace %.200s is damaged at byte %zu: %s", name,
		(size_t)((const uint8_t *)at - file->bytes), wrong);
	return -EINVAL;
}

static int take_header(struct trace_file *file, const char *name, struct err *err)
{
	struct trace_header *header = &file->header;

	if (file->byte_count < sizeof(*header) ||
		memcmp(file->bytes, TRACE_MAGIC, TRACE_MAGIC_BYTES) != 0) {
		err_set(err, EXIT_CODE_IMAGE, EINVAL, "%.200s is no trace", name);
		err_hint(err, "vmm --trace FILE ... writes one");
		return -EINVAL;
	}
	memcpy(header, file->bytes, sizeof(*header));
	if (header->version != TRACE_VERSION) {
		err_set(err, EXIT_CODE_IMAGE, EINVAL,
			"the trace %.200s is of format %u, and this program knows format %d", name,
			header->version, TRACE_VERSION);
		err_hint(err, "look at it with the vmm that wrote it");
		return -EINVAL;
	}
	if (header->header_bytes < sizeof(*header) || header->header_bytes % 8 ||
		header->header_bytes > file->byte_count || !header->cpus ||
		header->cpus > TRACE_CPUS_MAX)
		return refuse(file, name, file->bytes, "its header says what can't be", err);
	return 0;
}

static void make_printable(char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes && text[i]; i++)
		if (text[i] < 0x20 || text[i] > 0x7e)
			text[i] = '?';
}

/* The bytes are followed by what ends a text: see trace_file_parse(). */
static const char *take_fact(struct trace_file *file, const struct trace_record *record, char **to)
{
	size_t bytes = record->bytes - sizeof(*record);
	char *text = *to, *equals;

	if (file->fact_count == TRACE_FACTS_MAX)
		return "more facts than a machine has";
	memcpy(text, record + 1, bytes);
	text[bytes] = '\0';
	*to += bytes + 1;
	make_printable(text, bytes);
	equals = strchr(text, '=');
	if (!equals)
		return "a fact without a name";
	*equals = '\0';
	file->facts[file->fact_count++] = (struct trace_fact){text, equals + 1};
	return NULL;
}

static const char *take_device(struct trace_file *file, struct trace_device *device)
{
	if (device->record.bytes < sizeof(*device) ||
		(device->record.bytes - sizeof(*device)) / sizeof(device->res[0]) <
			device->res_count)
		return "a device that is too short";
	if (device->number >= TRACE_DEVICES_MAX)
		return "more devices than a machine has";
	if (file->devices[device->number])
		return "two devices of one number";
	device->name[TRACE_NAME_BYTES - 1] = '\0';
	device->class_name[TRACE_NAME_BYTES - 1] = '\0';
	make_printable(device->name, TRACE_NAME_BYTES);
	make_printable(device->class_name, TRACE_NAME_BYTES);
	file->devices[device->number] = device;
	file->device_count = MAX(file->device_count, device->number + 1u);
	return NULL;
}

static void check_device(const struct trace_file *file, uint16_t *device)
{
	if (*device >= file->device_count || !file->devices[*device])
		*device = TRACE_DEVICE_NONE;
}

static void check_exit(const struct trace_file *file, struct trace_exit *exit)
{
	check_device(file, &exit->device);
	if (exit->reason >= TRACE_REASON_COUNT)
		exit->reason = TRACE_OTHER;
	exit->size = MIN(exit->size, (uint8_t)8);
}

static const char *take_tape(struct trace_file *file, const struct trace_tape *tape)
{
	bool has_none;

	if (tape->record.bytes < sizeof(*tape))
		return "a part of the recording that is too short";
	has_none = tape->kind == TRACE_TAPE_REQUEST || tape->kind == TRACE_TAPE_RESET;
	if (tape->kind >= TRACE_TAPE_KINDS) {
		file->unknown++;
		return NULL;
	}
	if (!has_none && (tape->device >= file->device_count || !file->devices[tape->device]))
		return "a part of the recording is of no device";
	if (tape->kind <= TRACE_TAPE_ACCESS_LAST &&
		(!util_is_power_of_two(tape->size) || tape->size > 8))
		return "an access of a size that can't be";
	file->tape[file->tape_count++] = tape;
	return NULL;
}

static const char *take_event(struct trace_file *file, struct trace_record *record)
{
	static const size_t least[] = {
		[TRACE_EXIT] = sizeof(struct trace_exit),
		[TRACE_IRQ] = sizeof(struct trace_irq),
		[TRACE_KICK] = sizeof(struct trace_kick),
		[TRACE_LOST] = sizeof(struct trace_lost),
		[TRACE_RESET] = sizeof(struct trace_moment),
		[TRACE_END] = sizeof(struct trace_moment),
	};

	if (record->bytes < least[record->type])
		return "an event that is too short";
	if (record->source >= file->header.cpus)
		record->source = TRACE_SOURCE_HOST;
	switch (record->type) {
	case TRACE_EXIT:
		check_exit(file, (struct trace_exit *)record);
		break;
	case TRACE_IRQ:
		check_device(file, &((struct trace_irq *)record)->device);
		break;
	case TRACE_KICK:
		check_device(file, &((struct trace_kick *)record)->device);
		break;
	case TRACE_LOST:
		if (util_add_overflows(
			    file->lost, ((struct trace_lost *)record)->count, &file->lost))
			file->lost = UINT64_MAX;
		break;
	case TRACE_END:
		file->has_ended = true;
		break;
	default:
		break;
	}
	file->end_ns = MAX(file->end_ns, trace_event_time_ns(record) + trace_event_took_ns(record));
	file->events[file->event_count++] = record;
	return NULL;
}

/* The record at `at`, NULL at the end; `wrong` says what can't be. */
static struct trace_record *step(struct trace_file *file, size_t *at, const char **wrong)
{
	size_t left = file->byte_count - *at, bytes;
	struct trace_record *record;

	*wrong = NULL;
	file->is_cut = left > 0;
	if (left < sizeof(*record))
		return NULL;
	record = (struct trace_record *)(void *)(file->bytes + *at);
	if (record->bytes < sizeof(*record) || record->bytes > TRACE_RECORD_BYTES_MAX) {
		*wrong = "a record of a length that can't be";
		return record;
	}
	bytes = util_align_up(record->bytes, 8);
	if (bytes > left)
		return NULL;
	file->is_cut = false;
	*at += bytes;
	return record;
}

static bool is_event(const struct trace_record *record)
{
	return record->type >= TRACE_EXIT && record->type <= TRACE_END;
}

/* Times are far from their end, so that sums of them stay in range. */
static bool is_timely(const struct trace_record *record)
{
	return record->bytes < sizeof(struct trace_moment) ||
		trace_event_time_ns(record) <= UINT64_MAX / 4;
}

static int take_records(struct trace_file *file, const char *name, struct err *err)
{
	size_t at = file->header.header_bytes;
	char *texts = file->texts;
	struct trace_record *record;
	const char *wrong;

	while ((record = step(file, &at, &wrong)) && !wrong) {
		if (record->type == TRACE_FACT)
			wrong = take_fact(file, record, &texts);
		else if (record->type == TRACE_DEVICE)
			wrong = take_device(file, (struct trace_device *)record);
		else if (record->type == TRACE_TAPE)
			wrong = take_tape(file, (const struct trace_tape *)record);
		else if (!is_event(record))
			file->unknown++;
		else if (is_timely(record))
			wrong = take_event(file, record);
		else
			wrong = "a time that can't be";
		if (wrong)
			break;
	}
	return wrong ? refuse(file, name, record, wrong, err) : 0;
}

static int compare_events(const void *a, const void *b)
{
	const struct trace_record *one = *(const struct trace_record *const *)a,
				  *other = *(const struct trace_record *const *)b;
	uint64_t one_ns = trace_event_time_ns(one), other_ns = trace_event_time_ns(other);

	if (one_ns != other_ns)
		return one_ns < other_ns ? -1 : 1;
	return one < other ? -1 : one > other;
}

static int compare_tapes(const void *a, const void *b)
{
	const struct trace_tape *one = *(const struct trace_tape *const *)a,
				*other = *(const struct trace_tape *const *)b;

	return one->seq < other->seq ? -1 : one->seq > other->seq;
}

/* What is to be kept of each record: a fact's text and its end, or a pointer to an event. */
static int make_room(struct trace_file *file, const char *name, struct err *err)
{
	size_t at = file->header.header_bytes, events = 0, tapes = 0, texts = 0;
	const struct trace_record *record;
	const char *wrong;

	while ((record = step(file, &at, &wrong)) && !wrong) {
		events += is_event(record);
		tapes += record->type == TRACE_TAPE;
		texts += record->type == TRACE_FACT ? record->bytes : 0;
	}
	file->events = calloc(events + 1, sizeof(const struct trace_record *));
	file->tape = calloc(tapes + 1, sizeof(const struct trace_tape *));
	file->texts = malloc(texts + 1);
	if (file->events && file->tape && file->texts)
		return 0;
	fail_memory(name, err);
	return -ENOMEM;
}

static int take_all(struct trace_file *file, const char *name, struct err *err)
{
	int ret = take_header(file, name, err);

	if (ret == 0)
		ret = make_room(file, name, err);
	if (ret == 0)
		ret = take_records(file, name, err);
	if (ret < 0) {
		trace_file_free(file);
		return ret;
	}
	qsort(file->events, file->event_count, sizeof(const struct trace_record *), compare_events);
	qsort(file->tape, file->tape_count, sizeof(const struct trace_tape *), compare_tapes);
	return 0;
}

int trace_file_parse(
	struct trace_file *file, const char *name, const void *bytes, size_t count, struct err *err)
{
	*file = (struct trace_file){.bytes = malloc(count + 1), .byte_count = count};
	if (!file->bytes)
		return fail_memory(name, err);
	if (count)
		memcpy(file->bytes, bytes, count);
	return take_all(file, name, err);
}

int trace_file_load(struct trace_file *file, const char *path, struct err *err)
{
	bool is_stdin = !strcmp(path, "-");
	int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	int ret;

	*file = (struct trace_file){0};
	if (fd < 0)
		return err_set(err, EXIT_CODE_IMAGE, errno, "can't read the trace %.200s: %s", path,
			strerror(errno));
	ret = read_all(fd, path, &file->bytes, &file->byte_count, err);
	if (!is_stdin)
		close(fd);
	if (ret < 0) {
		trace_file_free(file);
		return ret;
	}
	return take_all(file, path, err);
}

void trace_file_free(struct trace_file *file)
{
	free(file->bytes);
	free(file->events);
	free(file->tape);
	free(file->texts);
	*file = (struct trace_file){0};
}

/* ---- Looking ---- */

const char *trace_file_fact(const struct trace_file *file, const char *key)
{
	for (unsigned i = 0; i < file->fact_count; i++)
		if (!strcmp(file->facts[i].key, key))
			return file->facts[i].value;
	return NULL;
}

const char *trace_file_device_name(const struct trace_file *file, unsigned number)
{
	return number == TRACE_DEVICE_NONE ? "" : file->devices[number]->name;
}

unsigned trace_file_find_device(const struct trace_file *file, const char *name)
{
	for (unsigned i = 0; i < file->device_count; i++)
		if (file->devices[i] && !strcmp(file->devices[i]->name, name))
			return i;
	return TRACE_DEVICE_NONE;
}

/* The time stands behind the record's head in all of them. */
uint64_t trace_event_time_ns(const struct trace_record *event)
{
	return ((const struct trace_moment *)event)->time_ns;
}

unsigned trace_event_device(const struct trace_record *event)
{
	switch (event->type) {
	case TRACE_EXIT:
		return ((const struct trace_exit *)event)->device;
	case TRACE_IRQ:
		return ((const struct trace_irq *)event)->device;
	case TRACE_KICK:
		return ((const struct trace_kick *)event)->device;
	default:
		return TRACE_DEVICE_NONE;
	}
}

uint32_t trace_event_took_ns(const struct trace_record *event)
{
	if (event->type == TRACE_EXIT)
		return ((const struct trace_exit *)event)->took_ns;
	return event->type == TRACE_KICK ? ((const struct trace_kick *)event)->took_ns : 0;
}

bool trace_event_mark(
	const struct trace_file *file, const struct trace_record *event, unsigned *number)
{
	const struct trace_exit *exit = (const struct trace_exit *)event;

	if (event->type != TRACE_EXIT || exit->reason != TRACE_PIO_WRITE ||
		exit->device == TRACE_DEVICE_NONE ||
		strcmp(file->devices[exit->device]->class_name, "boot-mark") != 0)
		return false;
	*number = exit->value & 0xff;
	return true;
}

#define REASON_TEXT(name, key, text) [name] = text,
#define REASON_KEY(name, key, text)  [name] = key,

const char *trace_reason_text(unsigned reason)
{
	static const char *const texts[] = {TRACE_REASON_TABLE(REASON_TEXT)};

	return texts[reason];
}

const char *trace_reason_key(unsigned reason)
{
	static const char *const keys[] = {TRACE_REASON_TABLE(REASON_KEY)};

	return keys[reason];
}
