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

/* Signals that are about the thread itself, or a bug: never blocked. */
static const int own_signals[] = {
	SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF};

static void block_kicks(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, kick_signal());
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* A signal for the process is another thread's business: it would cost the guest an exit. */
static void block_all_but_kicks(void)
{
	sigset_t set;

	sigfillset(&set);
	sigdelset(&set, kick_signal());
	for (size_t i = 0; i < ARRAY_SIZE(own_signals); i++)
		sigdelset(&set, own_signals[i]);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
}

void kick_init(void)
{
	/* No SA_RESTART: KVM_RUN is to return. */
	struct sigaction action = {.sa_handler = on_kick};

	sigemptyset(&action.sa_mask);
	sigaction(kick_signal(), &action, NULL);
	block_kicks();
}

void kick_attach(struct kvm_run *run)
{
	if (!run)
		block_kicks();
	own_run = run;
	if (run)
		block_all_but_kicks();
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
