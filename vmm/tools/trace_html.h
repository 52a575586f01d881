/*
 * A trace as one HTML page that needs nothing else: a timeline to zoom, histogram, marks. The page
 * is trace_page.html; this fills in its data.
 */
#pragma once

#include <stdio.h>

#include "vmm/tools/trace_view.h"

enum {
	/* So many events are in the page one by one; of more the slowest, and sums over time of all. */
	TRACE_HTML_EVENTS_MAX = 200000,
	TRACE_HTML_BINS = 16384,
};

/* Error: -ENOMEM. */
int trace_html_write(const struct trace_view *view, FILE *out);
