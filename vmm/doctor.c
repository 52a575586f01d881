/*
 * See doctor.h. Gathers facts; what they mean is in doctor_text.c. Runs on the
 * caller's thread; the probes' processors have threads of their own.
 */
#include "vmm/doctor.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/doctor_text.h"
#include "vmm/kvm/kvm.h"

/* A failure is for the probes to tell of, which need a machine as well. */
static uint64_t time_making(struct kvm *kvm)
{
	uint64_t began_ns = util_now_ns(), took_ns;
	struct err err = ERR_INIT;

	if (kvm_create_vm(kvm, &err) < 0)
		return 0;
	took_ns = util_now_ns() - began_ns;
	kvm_destroy_vm(kvm);
	return took_ns;
}

static void examine_kvm(struct doctor_facts *facts)
{
	struct kvm *kvm = malloc(sizeof(*kvm));

	if (!kvm) {
		err_set(&facts->trouble, EXIT_CODE_KVM, ENOMEM, "no memory to examine KVM");
		return;
	}
	if (kvm_open(kvm, &facts->trouble) == 0) {
		facts->was_opened = true;
		facts->making_ns = time_making(kvm);
		probe_run_all(kvm, facts->probes, &facts->trouble);
		facts->vcpus_max = kvm->vcpus_max;
		facts->tsc_khz = kvm->tsc_khz;
		kvm_finish(kvm);
	}
	free(kvm);
}

int doctor_run(bool quiet, FILE *out, struct err *err)
{
	struct doctor_facts *facts = calloc(1, sizeof(*facts));
	char text[sizeof(err->text)];
	int status = EXIT_CODE_OK;

	if (!facts) {
		err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory to examine KVM");
		return EXIT_CODE_INTERNAL;
	}
	host_facts_gather(&facts->host);
	examine_kvm(facts);
	if (!quiet) {
		doctor_print(facts, out);
		fflush(out);
	}
	if (doctor_judge(facts) != DOCTOR_USABLE) {
		status = EXIT_CODE_KVM;
		doctor_describe(facts, text, sizeof(text));
		err_set(err, EXIT_CODE_KVM, 0, "%s", text);
		doctor_advise(facts, text, sizeof(text));
		err_hint(err, "%s", text);
	}
	free(facts);
	return status;
}
