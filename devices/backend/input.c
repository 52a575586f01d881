/*
 * See input.h. Knows neither windows nor devices.
 *
 * Keys and pointer have a ring each, or a driver that stands still with one of them would hold up
 * the other. What waits in both goes out in the order in which it came.
 *
 * A ring is bounded, and a release must always find room in it: so a place is kept free for
 * the release of each key that is down. A press that finds no room for both is
 * dropped, and then its release is ignored like any of a key that is up.
 *
 * Threads: one mutex guards what both sides see. It is never held while a sink or the listener
 * is called, as a sink's lock is taken before it. What else the pump needs is the
 * loop's thread's alone.
 *
 * Threats
 *   what the guest can do              limit                            where         test
 *   take nothing                       INPUT_RING events, then drops    has_room      a_full_ring…
 *   take keys only, or pointers only   the other has a ring of its own  pump          keys_pass…
 *   come and go in a key's press       releases of gone devices end     deliver       device_gone…
 *   set lamps without end              one task, posted once            set_leds      lamps…
 */
#include "devices/backend/input.h"

#include <errno.h>
#include <linux/input-event-codes.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/log.h"
#include "vmm/base/util.h"

/* Events that wait. */
struct queue {
	struct input_event ring[INPUT_RING];
	uint64_t numbers[INPUT_RING]; /* of each: how many came before it */
	unsigned first, used;
	unsigned down_count; /* used + down_count <= INPUT_RING, always */
	bool offering;	     /* the first is with a sink now: nothing is merged into it */
};

enum {
	QUEUE_KEYS,
	QUEUE_POINTER,
	QUEUES,
};

struct input {
	struct loop *loop; /* borrowed */
	struct loop_task pump;
	void (*changed)(void *opaque); /* the loop's thread's */
	void *changed_opaque;
	/* On which sink a key was pressed; the loop's thread's. */
	struct input_sink *owners[KEY_CNT];
	struct input_sink *sinks; /* the loop's thread's */

	pthread_mutex_t mutex; /* guards what follows, and each sink's `leds` */
	struct queue queues[QUEUES];
	uint64_t events; /* that have come */
	bool is_down[KEY_CNT];
	uint64_t dropped;
	bool told; /* of dropping */
	bool takes_positions;
	unsigned leds;
};

/* ---- The rings; with the mutex ---- */

static unsigned kinds_of(const struct input_event *event)
{
	switch (event->type) {
	case INPUT_EVENT_KEY:
		if (event->code < BTN_MOUSE || event->code > BTN_TASK)
			return INPUT_KEYBOARD;
		return INPUT_POSITION | INPUT_MOTION;
	case INPUT_EVENT_POINT:
		return INPUT_POSITION;
	case INPUT_EVENT_MOVE:
		return INPUT_MOTION;
	case INPUT_EVENT_WHEEL:
		break;
	}
	return INPUT_POSITION | INPUT_MOTION;
}

static struct queue *queue_of(struct input *input, const struct input_event *event)
{
	return &input->queues[kinds_of(event) == INPUT_KEYBOARD ? QUEUE_KEYS : QUEUE_POINTER];
}

static bool has_room(const struct queue *queue, unsigned events)
{
	return queue->used + queue->down_count + events <= INPUT_RING;
}

static void append(struct input *input, const struct input_event *event)
{
	struct queue *queue = queue_of(input, event);
	unsigned index = (queue->first + queue->used) % INPUT_RING;

	ASSERT(queue->used < INPUT_RING);
	queue->ring[index] = *event;
	queue->numbers[index] = input->events++;
	queue->used++;
}

static bool try_append(struct input *input, const struct input_event *event)
{
	if (!has_room(queue_of(input, event), 1)) {
		input->dropped++;
		return false;
	}
	append(input, event);
	return true;
}

/* The newest event of all, when it is of the type of `event` and nobody looks at it; else NULL. */
static struct input_event *find_merge(struct input *input, const struct input_event *event)
{
	struct queue *queue = queue_of(input, event);
	unsigned index = (queue->first + queue->used - 1) % INPUT_RING;

	if (queue->used < (queue->offering ? 2U : 1U) || queue->numbers[index] != input->events - 1)
		return NULL;
	return queue->ring[index].type == event->type ? &queue->ring[index] : NULL;
}

static int32_t add_saturated(int32_t a, int32_t b)
{
	int64_t sum = (int64_t)a + b;

	return (int32_t)MAX(MIN(sum, (int64_t)INT32_MAX), (int64_t)-INT32_MAX);
}

static void press(struct input *input, unsigned code)
{
	const struct input_event event = {.type = INPUT_EVENT_KEY, .code = code, .value = 1};
	struct queue *queue = queue_of(input, &event);

	if (input->is_down[code])
		return;
	if (!has_room(queue, 2)) {
		input->dropped++;
		return;
	}
	append(input, &event);
	input->is_down[code] = true;
	queue->down_count++;
}

static void release(struct input *input, unsigned code)
{
	const struct input_event event = {.type = INPUT_EVENT_KEY, .code = code};

	if (!input->is_down[code])
		return;
	input->is_down[code] = false;
	queue_of(input, &event)->down_count--;
	append(input, &event);
}

/* ---- The viewers' side ---- */

static void lock(struct input *input)
{
	pthread_mutex_lock(&input->mutex);
}

static void unlock_and_pump(struct input *input)
{
	pthread_mutex_unlock(&input->mutex);
	loop_post(input->loop, &input->pump);
}

void input_key(struct input *input, unsigned code, bool down)
{
	if (code == KEY_RESERVED || code >= KEY_CNT)
		return;
	lock(input);
	if (down)
		press(input, code);
	else
		release(input, code);
	unlock_and_pump(input);
}

/* Pixel `at` of `size` as a position: the first and the last pixel are the ends. */
static int32_t scale_position(int32_t at, uint32_t size)
{
	int64_t last = size > 1 ? (int64_t)size - 1 : 1;
	int64_t inside = MAX((int64_t)0, MIN((int64_t)at, last));

	return (int32_t)((inside * INPUT_ABS_MAX + last / 2) / last);
}

void input_point(struct input *input, int32_t x, int32_t y, uint32_t width, uint32_t height)
{
	const struct input_event event = {.type = INPUT_EVENT_POINT,
		.x = scale_position(x, width),
		.y = scale_position(y, height)};
	struct input_event *newest;

	lock(input);
	newest = find_merge(input, &event);
	if (newest)
		*newest = event;
	else
		try_append(input, &event);
	unlock_and_pump(input);
}

void input_move(struct input *input, int32_t dx, int32_t dy)
{
	const struct input_event event = {.type = INPUT_EVENT_MOVE, .x = dx, .y = dy};
	struct input_event *newest;

	if (!dx && !dy)
		return;
	lock(input);
	newest = find_merge(input, &event);
	if (newest) {
		newest->x = add_saturated(newest->x, dx);
		newest->y = add_saturated(newest->y, dy);
	} else {
		try_append(input, &event);
	}
	unlock_and_pump(input);
}

void input_wheel(struct input *input, int32_t vertical, int32_t horizontal)
{
	const struct input_event event = {
		.type = INPUT_EVENT_WHEEL, .x = horizontal, .y = vertical};

	if (!vertical && !horizontal)
		return;
	lock(input);
	try_append(input, &event);
	unlock_and_pump(input);
}

void input_release_all(struct input *input)
{
	lock(input);
	for (unsigned code = 0; code < KEY_CNT; code++)
		release(input, code);
	unlock_and_pump(input);
}

void input_press_ctrl_alt_del(struct input *input)
{
	static const unsigned keys[] = {KEY_LEFTCTRL, KEY_LEFTALT, KEY_DELETE};

	lock(input);
	/* All of it or nothing: Delete alone is something else. */
	if (has_room(&input->queues[QUEUE_KEYS], 2 * ARRAY_SIZE(keys))) {
		for (unsigned i = 0; i < ARRAY_SIZE(keys); i++)
			press(input, keys[i]);
		for (unsigned i = ARRAY_SIZE(keys); i--;)
			release(input, keys[i]);
	} else {
		input->dropped++;
	}
	unlock_and_pump(input);
}

/* The mutex of a struct that is const for its readers. */
static pthread_mutex_t *mutex_of(const struct input *input)
{
	return &((struct input *)(uintptr_t)input)->mutex;
}

bool input_takes_positions(const struct input *input)
{
	bool takes;

	pthread_mutex_lock(mutex_of(input));
	takes = input->takes_positions;
	pthread_mutex_unlock(mutex_of(input));
	return takes;
}

unsigned input_leds(const struct input *input)
{
	unsigned leds;

	pthread_mutex_lock(mutex_of(input));
	leds = input->leds;
	pthread_mutex_unlock(mutex_of(input));
	return leds;
}

unsigned input_waiting(const struct input *input, unsigned kinds)
{
	unsigned used;

	pthread_mutex_lock(mutex_of(input));
	used = kinds & INPUT_KEYBOARD ? input->queues[QUEUE_KEYS].used : 0;
	if (kinds & ~INPUT_KEYBOARD)
		used += input->queues[QUEUE_POINTER].used;
	pthread_mutex_unlock(mutex_of(input));
	return used;
}

uint64_t input_dropped(const struct input *input)
{
	uint64_t dropped;

	pthread_mutex_lock(mutex_of(input));
	dropped = input->dropped;
	pthread_mutex_unlock(mutex_of(input));
	return dropped;
}

/* ---- The pump, on the loop's thread ---- */

static struct input_sink *find_ready(struct input *input, unsigned kinds)
{
	struct input_sink *best = NULL;

	for (struct input_sink *sink = input->sinks; sink; sink = sink->next)
		if (sink->ready && sink->kinds & kinds && (!best || sink->rank > best->rank))
			best = sink;
	return best;
}

enum answer {
	ANSWER_TAKEN,
	ANSWER_WAIT,
	ANSWER_GONE, /* there is no driver any more */
};

static enum answer offer(struct input_sink *sink, const struct input_event *event)
{
	enum answer answer = ANSWER_GONE;

	pthread_mutex_lock(sink->lock);
	sink->ready = sink->is_ready(sink->opaque);
	if (sink->ready)
		answer = sink->take(sink->opaque, event) ? ANSWER_TAKEN : ANSWER_WAIT;
	pthread_mutex_unlock(sink->lock);
	return answer;
}

/* To the best that is ready, which may have gone when its turn comes. NULL: nobody is. */
static enum answer deliver_to_best(struct input *input, unsigned kinds,
	const struct input_event *event, struct input_sink **taker)
{
	enum answer answer = ANSWER_GONE;

	while (answer == ANSWER_GONE && (*taker = find_ready(input, kinds)))
		answer = offer(*taker, event);
	return answer;
}

static enum answer deliver(struct input *input, const struct input_event *event)
{
	struct input_sink *taker;
	enum answer answer;

	if (event->type == INPUT_EVENT_KEY && !event->value) {
		taker = input->owners[event->code];
		/* A driver that has gone has forgotten the key; so has one that came since. */
		answer = taker ? offer(taker, event) : ANSWER_GONE;
		if (answer != ANSWER_WAIT)
			input->owners[event->code] = NULL;
		return answer;
	}
	answer = deliver_to_best(input, kinds_of(event), event, &taker);
	if (event->type == INPUT_EVENT_KEY && answer == ANSWER_TAKEN)
		input->owners[event->code] = taker;
	return answer;
}

/* Once: who types on into a guest that stands still need not read it for each key. */
static void tell_of_drops(struct input *input)
{
	bool tell;

	lock(input);
	tell = input->dropped && !input->told;
	input->told |= tell;
	pthread_mutex_unlock(&input->mutex);
	if (tell)
		log_info("the guest takes no input: what is typed is dropped until it does");
}

/* Looks who is ready, and tells the listener what that changes. */
static void refresh(struct input *input)
{
	struct input_sink *keyboard;
	bool takes_positions, is_new;
	unsigned leds;

	for (struct input_sink *sink = input->sinks; sink; sink = sink->next) {
		pthread_mutex_lock(sink->lock);
		sink->ready = sink->is_ready(sink->opaque);
		pthread_mutex_unlock(sink->lock);
	}
	takes_positions = find_ready(input, INPUT_POSITION);
	keyboard = find_ready(input, INPUT_KEYBOARD);
	lock(input);
	leds = keyboard ? keyboard->leds : 0;
	is_new = leds != input->leds || takes_positions != input->takes_positions;
	input->leds = leds;
	input->takes_positions = takes_positions;
	pthread_mutex_unlock(&input->mutex);
	if (is_new && input->changed)
		input->changed(input->changed_opaque);
}

/* Of those queues that do not wait the one whose turn it is; NULL: there is nothing in them. */
static struct queue *begin_offer(
	struct input *input, const bool waits[QUEUES], struct input_event *event)
{
	struct queue *next = NULL;

	lock(input);
	for (unsigned i = 0; i < QUEUES; i++) {
		struct queue *queue = &input->queues[i];

		if (!waits[i] && queue->used &&
			(!next || queue->numbers[queue->first] < next->numbers[next->first]))
			next = queue;
	}
	if (next) {
		*event = next->ring[next->first];
		next->offering = true;
	}
	pthread_mutex_unlock(&input->mutex);
	return next;
}

static void end_offer(struct input *input, struct queue *queue, bool done)
{
	lock(input);
	queue->offering = false;
	if (done) {
		queue->first = (queue->first + 1) % INPUT_RING;
		queue->used--;
	}
	pthread_mutex_unlock(&input->mutex);
}

static void pump(void *opaque)
{
	struct input *input = opaque;
	bool waits[QUEUES] = {false};

	refresh(input);
	tell_of_drops(input);
	for (unsigned i = 0; i < QUEUES * INPUT_RING; i++) {
		struct input_event event;
		struct queue *queue = begin_offer(input, waits, &event);
		bool must_wait;

		if (!queue)
			return;
		must_wait = deliver(input, &event) == ANSWER_WAIT;
		end_offer(input, queue, !must_wait);
		/* Then input_sink_wake() calls again. */
		waits[queue - input->queues] = must_wait;
	}
	/* The loop's other work has its turn now. */
	loop_post(input->loop, &input->pump);
}

/* ---- The devices' side ---- */

void input_add_sink(struct input *input, struct input_sink *sink)
{
	sink->input = input;
	sink->ready = false;
	sink->leds = 0;
	sink->next = input->sinks;
	input->sinks = sink;
	input_sink_wake(sink);
}

void input_remove_sink(struct input_sink *sink)
{
	struct input *input = sink->input;
	struct input_sink **link;

	if (!input)
		return;
	for (link = &input->sinks; *link && *link != sink; link = &(*link)->next)
		;
	if (*link)
		*link = sink->next;
	for (unsigned code = 0; code < KEY_CNT; code++)
		if (input->owners[code] == sink)
			input->owners[code] = NULL;
	input_sink_wake(sink);
	sink->input = NULL;
}

void input_sink_wake(struct input_sink *sink)
{
	if (sink->input)
		loop_post(sink->input->loop, &sink->input->pump);
}

void input_sink_set_leds(struct input_sink *sink, unsigned leds)
{
	if (!sink->input)
		return;
	lock(sink->input);
	sink->leds = leds;
	unlock_and_pump(sink->input);
}

/* ---- Life ---- */

int input_create(struct input **out, struct loop *loop, struct err *err)
{
	struct input *input = calloc(1, sizeof(*input));

	if (!input)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the input");
	input->loop = loop;
	input->pump = (struct loop_task){.fn = pump, .opaque = input};
	pthread_mutex_init(&input->mutex, NULL);
	*out = input;
	return 0;
}

void input_destroy(struct input *input)
{
	if (!input)
		return;
	ASSERT(!input->sinks);
	loop_unpost(input->loop, &input->pump);
	pthread_mutex_destroy(&input->mutex);
	free(input);
}

void input_reset(struct input *input)
{
	lock(input);
	for (unsigned i = 0; i < QUEUES; i++)
		input->queues[i].first = input->queues[i].used = 0;
	memset(input->owners, 0, sizeof(input->owners));
	pthread_mutex_unlock(&input->mutex);
}

void input_set_listener(struct input *input, void (*changed)(void *opaque), void *opaque)
{
	input->changed = changed;
	input->changed_opaque = opaque;
}
