/*
 * A trace as Chrome's Trace Event Format (JSON object form), which ui.perfetto.dev and
 * chrome://tracing open. Source: "Trace Event Format", docs.google.com/document/d/
 * 1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU: metadata, complete and instant events.
 */
#pragma once

#include <stdio.h>

#include "vmm/tools/trace_view.h"

/* Processors are threads of one process, devices of another. */
void trace_perfetto_write(const struct trace_view *view, FILE *out);
