/*
 * See kick.h.
 */
#include "vmm/kvm/kick.h"

#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <time.h>

#include "vmm/base/util.h"

/* The thread's own shared page: a signal handler may read it without a lock. */
static _Thread_local struct kvm_run *volatile own_run;

static int kick_signal(void)
{
	return SIGRTMIN;
}

static void on_kick(int signal)
{
	struct kvm_run *run = own_run;

	(void)signal;
	if (run)
		__atomic_store_n(&run->immediate_exit, 1, __ATOMIC_RELAXED);
}

static void set_blocked(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, kick_signal());
	pthread_sigmask(how, &set, NULL);
}

void kick_init(void)
{
	/* No SA_RESTART: KVM_RUN is to return. */
	struct sigaction action = {.sa_handler = on_kick};

	sigemptyset(&action.sa_mask);
	sigaction(kick_signal(), &action, NULL);
	set_blocked(SIG_BLOCK);
}

void kick_attach(struct kvm_run *run)
{
	if (!run)
		set_blocked(SIG_BLOCK);
	own_run = run;
	if (run)
		set_blocked(SIG_UNBLOCK);
}

void kick_thread(pthread_t thread)
{
	/* EAGAIN: the user's queue of real-time signals is full; others will drain it. */
	for (int tries = 0; tries < 1000; tries++) {
		if (pthread_kill(thread, kick_signal()) != EAGAIN)
			return;
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
}
