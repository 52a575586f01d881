/*
 * The signals that speak to a running machine, as a descriptor for the loop, and
 * those that must not end the program. One thread, before any other is made: all
 * inherit what is set here.
 */
#pragma once

#include "vmm/base/err.h"

/*
 * Blocks SIGTERM, SIGINT, SIGQUIT and SIGHUP and returns a signalfd for them (owned by
 * the caller, does not block). SIGHUP is left alone where it is ignored already: who
 * starts vmm with nohup wants it to outlive the terminal.
 * Error: -errno and a sentence.
 */
int signals_open(struct err *err);
