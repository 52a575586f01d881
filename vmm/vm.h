/*
 * One virtual machine from start to end: builds it from the configuration,
 * runs it, and takes it down again.
 */
#pragma once

#include "vmm/base/err.h"
#include "vmm/config.h"

/*
 * Runs the machine until it ends. `config->name` becomes the name that it runs under. Returns the program's exit status (see
 * exit_codes.h; a guest may choose its own); when vmm itself or its host is to
 * blame, `err` holds the sentence and the status is its kind. Called once, on the
 * main thread, before any other thread was made.
 */
int vm_run(struct vm_config *config, struct err *err);
