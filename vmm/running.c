/*
 * See running.h: the verbs that ask one running machine for something. vmm list is in
 * running_list.c, vmm console in running_console.c.
 */
#include "vmm/running.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <time.h>

#include "vmm/base/log.h"
#include "vmm/config.h"
#include "vmm/control_client.h"

enum {
	STOP_TIMEOUT_MS = 60000,
	KILL_ASK_MS = 1000, /* for an orderly end; then it is the kernel's business */
	GUEST_ANSWER_NS = 100000000,
	KILL_WAIT_MS = 30000, /* freeing much memory takes its time */
};

/* ---- Words ---- */

static const struct opt no_options[] = {OPT_END};

int running_parse(const char *verb, const struct opt *table, int argc, char *const *argv,
	void *target, struct running_words *words, unsigned min, unsigned max, const char *form,
	struct err *err)
{
	*words = (struct running_words){.count = 0};
	while (argc > 0) {
		int used,
			ret = opts_parse_words(
				table ? table : no_options, argc, argv, target, &used, err);

		if (ret < 0) {
			err_hint(err, "vmm help %s says what it takes", verb);
			return ret;
		}
		argc -= used;
		argv += used;
		if (argc == 0)
			break;
		if (words->count == max) {
			err_set(err, EXIT_CODE_USAGE, EINVAL,
				"%s: there is no use for the word '%.60s'", verb, argv[0]);
			err_hint(err, "vmm help %s says what it takes", verb);
			return -EINVAL;
		}
		words->at[words->count++] = argv[0];
		argc--;
		argv++;
	}
	if (words->count >= min)
		return 0;
	err_set(err, EXIT_CODE_USAGE, EINVAL, "%s needs %s", verb, form);
	if (min == 1)
		err_hint(err, "vmm list shows the machines that run");
	return -EINVAL;
}

/* ---- Simple requests ---- */

/* `answer` is made and has to be freed in either case. */
static int ask(
	const char *name, const char *request, struct control_answer **answer, struct err *err)
{
	struct control_link link;
	int ret;

	*answer = malloc(sizeof(**answer));
	if (!*answer)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for an answer");
	ret = control_open(&link, name, err);
	if (ret == 0)
		ret = control_ask(&link, request, CONTROL_PATIENCE_MS, *answer, err);
	control_close(&link);
	return ret;
}

static void print_answer(const struct control_answer *answer)
{
	for (size_t i = 0; i < answer->len; i++) {
		char c = answer->text[i];

		putchar(c == '\n' || (c >= 0x20 && c < 0x7f) ? c : '?');
	}
}

/* A word with a space in it would be two at the other end. */
static int check_words(const char *verb, const struct running_words *words, struct err *err)
{
	for (unsigned i = 1; i < words->count; i++)
		if (!*words->at[i] || strpbrk(words->at[i], " \n"))
			return err_set(err, EXIT_CODE_USAGE, EINVAL,
				"%s: there is no use for the word '%.60s'", verb, words->at[i]);
	return 0;
}

/* Sends a request with what stands behind the verb's NAME and prints the answer. */
static int pass_as(
	const char *name, const char *verb, const struct running_words *words, struct err *err)
{
	struct control_answer *answer = NULL;
	char request[CONTROL_LINE_MAX * 2];
	int ret = check_words(verb, words, err);
	size_t len = (size_t)snprintf(request, sizeof(request), "%s", name);

	for (unsigned i = 1; i < words->count; i++)
		len += (size_t)snprintf(
			request + len, sizeof(request) - len, " %.100s", words->at[i]);
	if (ret == 0)
		ret = ask(words->at[0], request, &answer, err);
	if (ret == 0)
		print_answer(answer);
	free(answer);
	return ret < 0 ? (int)err->kind : EXIT_CODE_OK;
}

static int pass_on(const char *verb, const struct running_words *words, struct err *err)
{
	return pass_as(verb, verb, words, err);
}

/* A verb of the form "vmm VERB NAME". */
static int run_simple(const char *verb, int argc, char *const *argv, struct err *err)
{
	struct running_words words;

	if (running_parse(verb, NULL, argc, argv, NULL, &words, 1, 1, "a NAME", err) < 0)
		return (int)err->kind;
	return pass_on(verb, &words, err);
}

int run_status(int argc, char *const *argv, struct err *err)
{
	return run_simple("status", argc, argv, err);
}

int run_pause(int argc, char *const *argv, struct err *err)
{
	return run_simple("pause", argc, argv, err);
}

int run_resume(int argc, char *const *argv, struct err *err)
{
	return run_simple("resume", argc, argv, err);
}

int run_link(int argc, char *const *argv, struct err *err)
{
	struct running_words words;

	if (running_parse("link", NULL, argc, argv, NULL, &words, 2, 3, "NAME [NIC] up|down", err) <
		0)
		return (int)err->kind;
	return pass_on("link", &words, err);
}

int run_resize(int argc, char *const *argv, struct err *err)
{
	struct running_words words;

	if (running_parse("resize", NULL, argc, argv, NULL, &words, 2, 2, "a NAME and WIDTHxHEIGHT",
		    err) < 0)
		return (int)err->kind;
	/* "resize" is what terminals say of themselves. */
	return pass_as("screen", "resize", &words, err);
}

/* The guest's own numbers come with the second answer: the first question makes it count. */
static int show_balloon(const char *name, struct err *err)
{
	const struct timespec pause = {.tv_nsec = GUEST_ANSWER_NS};
	struct control_answer *answer = NULL;
	int ret = ask(name, "balloon", &answer, err);

	if (ret == 0) {
		nanosleep(&pause, NULL);
		free(answer);
		ret = ask(name, "balloon", &answer, err);
	}
	if (ret == 0)
		print_answer(answer);
	free(answer);
	return ret;
}

int run_balloon(int argc, char *const *argv, struct err *err)
{
	struct running_words words;

	if (running_parse("balloon", NULL, argc, argv, NULL, &words, 1, 2, "a NAME", err) < 0)
		return (int)err->kind;
	if (words.count == 1)
		return show_balloon(words.at[0], err) < 0 ? (int)err->kind : EXIT_CODE_OK;
	return pass_on("balloon", &words, err);
}

/* ---- stop and kill ---- */

struct stop_options {
	unsigned timeout_ms;
};

static const struct opt stop_options[] = {
	{.name = "timeout",
		.type = OPT_SECONDS,
		.offset = offsetof(struct stop_options, timeout_ms),
		.max = CONFIG_SECONDS_MAX * UINT64_C(1000),
		.value = "SECONDS",
		.help = "How long to wait for the end."},
	OPT_END,
};

static int stop(const char *name, unsigned timeout_ms, struct err *err)
{
	struct control_answer *answer = malloc(sizeof(*answer));
	struct control_link link = {.fd = -1, .pidfd = -1};
	int ret = answer ? control_open(&link, name, err)
			 : err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for an answer");

	if (ret == 0)
		ret = control_ask(&link, "stop", CONTROL_PATIENCE_MS, answer, err);
	if (ret == 0 && control_wait_end(&link, timeout_ms) < 0) {
		ret = err_set(err, EXIT_CODE_TIMEOUT, ETIMEDOUT,
			"the guest of %s has not powered off in %g seconds; it runs on", name,
			(double)timeout_ms / 1000);
		err_hint(err, "vmm kill %s ends it at once", name);
	}
	control_close(&link);
	free(answer);
	return ret;
}

int run_stop(int argc, char *const *argv, struct err *err)
{
	struct stop_options options = {.timeout_ms = STOP_TIMEOUT_MS};
	struct running_words words;
	int ret = running_parse(
		"stop", stop_options, argc, argv, &options, &words, 1, 1, "a NAME", err);

	if (ret == 0)
		ret = stop(words.at[0], options.timeout_ms, err);
	return ret < 0 ? (int)err->kind : EXIT_CODE_OK;
}

/*
 * First by asking, because then a terminal gets its settings back; and if no answer comes, by
 * SIGKILL to the very process that listens.
 */
static int kill_machine(struct control_link *link, struct err *err)
{
	struct control_answer *answer = malloc(sizeof(*answer));
	struct err silence = ERR_INIT;
	int ret = answer ? control_ask(link, "kill", KILL_ASK_MS, answer, &silence) : -ENOMEM;

	free(answer);
	if (ret == 0 && control_wait_end(link, KILL_ASK_MS) == 0)
		return 0;
	if (link->pidfd < 0) {
		/* It may have ended just now, between the question and the answer. */
		if (ret == -EPIPE)
			return 0;
		return err_set(err, EXIT_CODE_NAME, ESRCH,
			"%s does not answer, and its process can't be reached from here",
			link->name);
	}
	if (pidfd_send_signal(link->pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		return err_set(err, EXIT_CODE_NAME, errno, "can't kill process %d of %s: %s",
			(int)link->pid, link->name, strerror(errno));
	if (control_wait_end(link, KILL_WAIT_MS) < 0)
		return err_set(err, EXIT_CODE_TIMEOUT, ETIMEDOUT,
			"process %d of %s has been killed but has not ended yet", (int)link->pid,
			link->name);
	return 0;
}

int run_kill(int argc, char *const *argv, struct err *err)
{
	struct control_link link = {.fd = -1, .pidfd = -1};
	struct runtime_dir dir = {.fd = -1};
	struct running_words words;
	int ret = running_parse("kill", NULL, argc, argv, NULL, &words, 1, 1, "a NAME", err);

	if (ret == 0)
		ret = control_open(&link, words.at[0], err);
	if (ret == 0)
		ret = kill_machine(&link, err);
	control_close(&link);
	/* What a killed process could not remove itself. */
	if (ret == 0 && runtime_dir_open(&dir, false, NULL) == 0)
		runtime_dir_remove_stale(&dir, words.at[0]);
	runtime_dir_close(&dir);
	return ret < 0 ? (int)err->kind : EXIT_CODE_OK;
}
