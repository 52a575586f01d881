/*
 * The machine's network: what --net and -p ask for, opened, named and closed. For machine.c only.
 *
 * Threads: the loop's.
 */
#pragma once

#include <stddef.h>

#include "vmm/machine.h"

/* Opens the host side of each card. Error: -errno and a sentence; some may be open then. */
int machine_net_open(struct machine *machine, struct err *err);
void machine_net_close(struct machine *machine);

/* What a card's device is given: args->net, mac and queues for args->index. */
void machine_net_args(const struct machine *machine, struct device_args *args);

/* "net user", "net user, tap0", "no net". */
void machine_net_describe(const struct machine *machine, char *text, size_t size);
