/*
 * See display_sdl.h. The window's thread and its life. Knows nothing of what is in the window.
 *
 * The thread sleeps until the display, the input hub or the server has something, or until the
 * display has to be looked at again. SDL's own way of waiting asks every millisecond on some
 * systems; here the descriptor of the connection is waited for.
 *
 * What the host can do                limit                             enforced in       test
 * the server goes away                the thread ends, with a sentence  handle_loss()     window_survives_its_server
 * the server answers no more          STOP_WAIT_MS, then hung up on     end_thread()      window_of_a_stopped_server_ends
 * it does not answer from the start   OPEN_WAIT_MS                      wait_until_open() window_of_a_stopped_server_fails
 * (guest) lamps on and off, no end    once a frame                      take_input_change() -
 *
 * Threads: SDL is used on the window's thread alone, with no lock held.
 */
#include "devices/backend/display_sdl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "devices/backend/display_sdl_impl.h"
#include "vmm/base/log.h"
#include "vmm/base/util.h"

enum {
	OPEN_WAIT_MS = 10000,
	STOP_WAIT_MS = 2000,
	/* Where there is no descriptor to wait for. */
	BLIND_POLL_MS = 15,
};

#define NS_PER_MS UINT64_C(1000000)

/* ---- Waking, from any thread ---- */

static void wake(struct display_sdl *self)
{
	const uint64_t one = 1;

	/* Full means woken already. */
	if (write(self->wake_fd, &one, sizeof(one)) < 0)
		return;
}

static void on_display(void *opaque)
{
	struct display_sdl *self = opaque;

	atomic_store(&self->is_woken, true);
	wake(self);
}

static void on_input(void *opaque)
{
	struct display_sdl *self = opaque;

	atomic_store(&self->is_input_new, true);
	wake(self);
}

/* ---- The thread ---- */

static void move_on(struct display_sdl *self, enum display_sdl_progress progress)
{
	pthread_mutex_lock(&self->lock);
	self->progress = progress;
	pthread_cond_broadcast(&self->moved);
	pthread_mutex_unlock(&self->lock);
}

static enum display_sdl_progress progress_of(struct display_sdl *self)
{
	enum display_sdl_progress progress;

	pthread_mutex_lock(&self->lock);
	progress = self->progress;
	pthread_mutex_unlock(&self->lock);
	return progress;
}

/* Xlib calls it in the middle of any function; nothing of SDL is touched afterwards. */
static void jump_off(void *opaque)
{
	struct display_sdl *self = opaque;

	/* A thread of a graphics driver: there is nothing that it could go on with. */
	while (!pthread_equal(pthread_self(), self->own))
		pause();
	longjmp(self->loss, 1);
}

static void handle_loss(struct display_sdl *self)
{
	if (progress_of(self) == DISPLAY_SDL_OPENING) {
		err_set(&self->err, EXIT_CODE_DEVICE, EPIPE,
			"the X server went away while the window was being opened");
		move_on(self, DISPLAY_SDL_FAILED);
		return;
	}
	atomic_store(&self->is_lost, true);
	display_set_visible(&self->viewer, false);
	if (self->input)
		input_release_all(self->input);
	if (!atomic_load(&self->must_end))
		log_warn("the X server is gone, and the window with it; the machine runs on");
	move_on(self, DISPLAY_SDL_ENDED);
}

static void take_events(struct display_sdl *self)
{
	SDL_Event event;
	int more;

	do {
		more = self->sdl.PollEvent(&event);
		if (more)
			display_sdl_handle_event(self, &event);
	} while (more && !atomic_load(&self->must_end));
}

static int timeout_ms(const struct display_sdl *self, uint64_t until_ns, uint64_t now_ns)
{
	uint64_t ms = UINT64_MAX;

	if (until_ns != UINT64_MAX)
		ms = until_ns > now_ns ? (until_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS : 0;
	if (self->connection_fd < 0)
		ms = MIN(ms, (uint64_t)BLIND_POLL_MS);
	return ms > INT32_MAX ? -1 : (int)ms;
}

/* True: the server may have sent something. */
static bool sleep_until(struct display_sdl *self, uint64_t until_ns, uint64_t now_ns)
{
	struct pollfd fds[] = {
		{.fd = self->wake_fd, .events = POLLIN},
		{.fd = self->connection_fd, .events = POLLIN},
	};
	uint64_t count;

	poll(fds, ARRAY_SIZE(fds), timeout_ms(self, until_ns, now_ns));
	if (fds[0].revents && read(self->wake_fd, &count, sizeof(count)) < 0)
		log_debug("the window was woken twice");
	return fds[1].revents || self->connection_fd < 0;
}

/* A size is told when the canvas has it, which for a window that is hidden may take long. */
static uint64_t next_timer_ns(const struct display_sdl *self)
{
	uint64_t next_ns = self->overlay.note[0] ? self->overlay.note_end_ns : UINT64_MAX;

	if (atomic_load(&self->is_input_new))
		next_ns = MIN(next_ns, self->input_ns);
	return self->tell_ns && self->canvas.pixels ? MIN(next_ns, self->tell_ns) : next_ns;
}

/* A guest can turn its lamps on and off without end; the server hears of it once a frame. */
static bool take_input_change(struct display_sdl *self, uint64_t now_ns)
{
	if (now_ns < self->input_ns || !atomic_exchange(&self->is_input_new, false))
		return false;
	self->input_ns = now_ns + DISPLAY_FRAME_NS;
	display_sdl_handle_input_change(self);
	return true;
}

/*
 * Events are taken when the server has sent something, and whenever it was spoken to: what the
 * library read from the connection meanwhile does not show at the descriptor any more. An idle
 * window asks the library nothing.
 */
static void run_window(struct display_sdl *self)
{
	uint64_t now_ns, look_ns;
	bool has_events = true;

	while (!atomic_load(&self->must_end)) {
		if (has_events)
			take_events(self);
		now_ns = util_now_ns();
		has_events = take_input_change(self, now_ns);
		display_sdl_tell_size(self, now_ns);
		if (display_overlay_expire(&self->overlay, now_ns))
			self->all_dirty = true;
		look_ns = display_sdl_next_look_ns(self);
		if (look_ns <= now_ns)
			has_events |= display_sdl_look(self);
		else if (!has_events)
			has_events = sleep_until(self, MIN(look_ns, next_timer_ns(self)), now_ns);
	}
}

struct start {
	struct display_sdl *self;
	struct display_sdl_config config;
};

static void *run(void *opaque)
{
	struct start start = *(struct start *)opaque;
	struct display_sdl *self = start.self;
	int ret;

	free(opaque);
	self->own = pthread_self();
	pthread_setname_np(self->own, "window");
	if (setjmp(self->loss)) {
		handle_loss(self);
		return NULL;
	}
	display_sdl_lib_watch_server(jump_off, self);
	ret = display_sdl_open_window(self, &start.config, &self->err);
	move_on(self, ret < 0 ? DISPLAY_SDL_FAILED : DISPLAY_SDL_OPEN);
	if (ret < 0)
		return NULL;
	run_window(self);
	display_sdl_close_window(self);
	move_on(self, DISPLAY_SDL_ENDED);
	return NULL;
}

/* ---- Start and stop, on the loop's thread ---- */

/* Waits until the thread is there, or further on. False: it is not, in that time. */
static bool wait_for(struct display_sdl *self, enum display_sdl_progress progress, unsigned ms)
{
	const uint64_t until_ns = util_now_ns() + ms * NS_PER_MS;
	const struct timespec until = {
		(time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000)};
	bool is_there;

	pthread_mutex_lock(&self->lock);
	while (self->progress < progress &&
		pthread_cond_clockwait(&self->moved, &self->lock, CLOCK_MONOTONIC, &until) !=
			ETIMEDOUT)
		;
	is_there = self->progress >= progress;
	pthread_mutex_unlock(&self->lock);
	return is_there;
}

/*
 * What it waits for may never come: then its connection is cut, as if the server were gone. False:
 * it still runs, and has nothing to be cut off from.
 */
static bool end_thread(struct display_sdl *self)
{
	if (progress_of(self) == DISPLAY_SDL_OPEN &&
		!wait_for(self, DISPLAY_SDL_FAILED, STOP_WAIT_MS)) {
		log_warn("the X server does not answer; its window is left to it");
		shutdown(self->hang_up_fd, SHUT_RDWR);
		wait_for(self, DISPLAY_SDL_FAILED, STOP_WAIT_MS);
	}
	if (progress_of(self) >= DISPLAY_SDL_FAILED) {
		pthread_join(self->thread, NULL);
		return true;
	}
	pthread_detach(self->thread);
	return false;
}

static void destroy(struct display_sdl *self)
{
	close(self->wake_fd);
	if (self->hang_up_fd >= 0)
		close(self->hang_up_fd);
	pthread_cond_destroy(&self->moved);
	pthread_mutex_destroy(&self->lock);
	free(self);
}

void display_sdl_stop(struct display_sdl *self)
{
	if (!self)
		return;
	if (self->input)
		input_set_listener(self->input, NULL, NULL);
	pthread_mutex_lock(&self->lock);
	atomic_store(&self->must_end, true);
	pthread_mutex_unlock(&self->lock);
	wake(self);
	if (end_thread(self)) {
		display_remove_viewer(&self->viewer);
		destroy(self);
	} else {
		/* It looks at its own memory once more, should the server answer after all. */
		display_remove_viewer(&self->viewer);
	}
}

/* All signals stay with the threads that expect them. */
static int start_thread(struct display_sdl *self, const struct display_sdl_config *config)
{
	struct start *start = malloc(sizeof(*start));
	sigset_t all, before;
	int ret;

	if (!start)
		return -ENOMEM;
	*start = (struct start){self, *config};
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&self->thread, NULL, run, start);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret)
		free(start);
	return -ret;
}

static int refuse_silent_server(struct err *err)
{
	const char *name = getenv("DISPLAY");

	err_set(err, EXIT_CODE_DEVICE, ETIMEDOUT,
		"can't open a window: the display %s does not answer", name ? name : "server");
	err_hint(err, "see whether other programs can use it, or use --display none");
	return -ETIMEDOUT;
}

static struct display_sdl *create(struct display *display, struct input *input, struct err *err)
{
	struct display_sdl *self = calloc(1, sizeof(*self));

	if (self)
		self->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!self || self->wake_fd < 0) {
		err_set(err, EXIT_CODE_INTERNAL, self ? errno : ENOMEM,
			"no memory or descriptor for a window");
		free(self);
		return NULL;
	}
	self->hang_up_fd = -1;
	self->display = display;
	self->input = input;
	self->viewer = (struct display_viewer){.wake = on_display, .opaque = self};
	pthread_mutex_init(&self->lock, NULL);
	pthread_cond_init(&self->moved, NULL);
	return self;
}

int display_sdl_start(struct display_sdl **window, struct display *display, struct input *input,
	const struct display_sdl_config *config, struct err *err)
{
	struct display_sdl *self = create(display, input, err);
	int ret;

	*window = NULL;
	if (!self)
		return -err->errnum;
	/* On this thread: what dlopen() finds missing is a matter of the host's, not of the server's. */
	ret = display_sdl_lib_load(&self->sdl, err);
	if (ret < 0) {
		destroy(self);
		return ret;
	}
	display_add_viewer(display, &self->viewer);
	ret = start_thread(self, config);
	if (ret < 0) {
		err_set(err, EXIT_CODE_INTERNAL, -ret, "can't make the window's thread: %s",
			strerror(-ret));
		display_remove_viewer(&self->viewer);
		destroy(self);
		return ret;
	}
	if (!wait_for(self, DISPLAY_SDL_OPEN, OPEN_WAIT_MS))
		ret = refuse_silent_server(err);
	else if (progress_of(self) == DISPLAY_SDL_FAILED)
		ret = err_set(err, self->err.kind, self->err.errnum, "%s", self->err.text);
	if (ret < 0) {
		err_hint(err, "%s", self->err.hint);
		display_sdl_stop(self);
		return ret;
	}
	if (input)
		input_set_listener(input, on_input, self);
	*window = self;
	return 0;
}

struct display_sdl_stats display_sdl_stats(const struct display_sdl *self)
{
	return (struct display_sdl_stats){
		.is_lost = atomic_load(&self->is_lost),
		.looks = atomic_load(&self->looks),
		.frames = atomic_load(&self->frames),
		.bytes = atomic_load(&self->bytes),
	};
}
