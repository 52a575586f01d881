/*
 * The control socket's server: any bytes, cut into any pieces, get answers of the protocol or the
 * end of the connection, and never more words than a command may have.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fuzz/fuzz_input.h"
#include "vmm/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void echo(struct control_call *call, void *opaque)
{
	(void)opaque;
	ASSERT(call->word_count >= 1 && call->word_count <= 3);
	for (unsigned i = 0; i < call->word_count; i++) {
		ASSERT(strlen(call->words[i]) && strlen(call->words[i]) < CONTROL_LINE_MAX);
		control_print(call, "%s\n", call->words[i]);
	}
}

static void fail(struct control_call *call, void *opaque)
{
	(void)opaque;
	control_fail(call, "no");
}

static void fill(struct control_call *call, void *opaque)
{
	(void)opaque;
	for (int i = 0; i < CONTROL_TEXT_MAX / 64; i++)
		control_print(call, "%080d", i);
}

static void take(struct control_call *call, void *opaque)
{
	(void)opaque;
	if (control_socket(call) >= 0)
		control_take(call);
}

static void attach(struct control_call *call, void *opaque)
{
	(void)opaque;
	control_attach(call, memfd_create("fuzz", MFD_CLOEXEC));
	if (call->word_count)
		control_fail(call, "no");
}

static const struct control_command table[] = {
	{"e", "A [B] [C]", 1, 3, echo},
	{"f", "", 0, CONTROL_WORDS_MAX, fail},
	{"l", "", 0, 0, fill},
	{"t", "", 0, 0, take},
	{"a", "[A]", 0, 1, attach},
	{.name = NULL},
};

/* What was answered so far; ends in the middle of an answer only if the client's socket is full. */
static void check_answers(const char *text, size_t len)
{
	while (len) {
		char word[8] = "";
		unsigned long length;
		int header;

		ASSERT(sscanf(text, "%7[a-z] %lu%n", word, &length, &header) == 2);
		ASSERT(!strcmp(word, "ok") || !strcmp(word, "error"));
		ASSERT(length < CONTROL_TEXT_MAX && (size_t)header + 1 <= len);
		ASSERT(text[header] == '\n');
		text += header + 1;
		len -= (size_t)header + 1;
		if (length > len)
			return;
		text += length;
		len -= length;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {.data = data, .left = size};
	size_t step = fuzz_take(&input, 1) + 1, len = 0, room = 1 << 20;
	char *answers = calloc(1, room + 1);
	struct control *control;
	struct loop *loop;
	int fds[2];

	ASSERT(answers && loop_create(&loop, NULL) == 0);
	ASSERT(control_start(&control, -1, loop, table, NULL, NULL) == 0);
	ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	ASSERT(control_add_client(control, fds[0]) == 0);
	while (input.left) {
		size_t n = MIN(step, input.left);
		ssize_t got;

		if (send(fds[1], input.data, n, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
			break;
		input.data += n;
		input.left -= n;
		do {
			loop_run_once(loop, 0);
			got = recv(fds[1], answers + len, room - len, 0);
			len += got > 0 ? (size_t)got : 0;
		} while (got > 0 && len < room);
	}
	check_answers(answers, len);
	close(fds[1]);
	loop_run_once(loop, 0);
	control_stop(control);
	loop_destroy(loop);
	free(answers);
	return 0;
}
