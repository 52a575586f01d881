/*
 * Replays a recording (--trace FILE,record) on the devices of the same machine without KVM: gives
 * them all that the guest wrote and read and all that the host said, and compares what they answer
 * and how they move their interrupt lines.
 *
 * The content of guest memory is not in a recording, so the requests in virtio queues are not made
 * again: of virtio devices the registers and the configuration space are compared, with the
 * interrupts' causes as they were recorded.
 *
 * One thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "vmm/base/err.h"
#include "vmm/tools/trace_file.h"

struct replay_options {
	size_t differences_shown;
	FILE *out;
};

struct replay_result {
	size_t replayed;  /* records */
	size_t compared;  /* answers */
	size_t different; /* of these */
};

/* Error: -errno and a sentence: the trace is no recording, or is one of a machine that is not ours. */
int replay_run(const struct trace_file *file, const struct replay_options *options,
	struct replay_result *result, struct err *err);
