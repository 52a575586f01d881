/*
 * doctor on whatever KVM is here: its exit status, its report and its error agree, and its probes
 * tell an interpreting KVM from a real one.
 */
#include "tests/boot/kvm_guest.h"

#include <stdlib.h>

#include "vmm/doctor.h"
#include "vmm/kvm/probe.h"

static char *run(bool quiet, int *status, struct err *err)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	*err = (struct err)ERR_INIT;
	*status = doctor_run(quiet, out, err);
	fclose(out);
	return text;
}

/* Runs without any KVM as well. */
static void test_status_report_and_error_agree(void **state)
{
	struct err err;
	int status;
	char *text = run(false, &status, &err);

	(void)state;
	assert_true(status == EXIT_CODE_OK || status == EXIT_CODE_KVM);
	assert_int_equal(err.kind, status);
	assert_non_null(strstr(text, "Host\n"));
	assert_non_null(strstr(text, "Verdict\n"));
	if (status == EXIT_CODE_OK)
		assert_non_null(strstr(text, "  usable: "));
	else
		assert_non_null(strstr(text, err.text));
	free(text);
}

static void test_quiet_prints_nothing(void **state)
{
	struct err err;
	int loud, quiet;
	char *text;

	(void)state;
	text = run(false, &loud, &err);
	free(text);
	text = run(true, &quiet, &err);
	assert_string_equal(text, "");
	assert_int_equal(quiet, loud);
	free(text);
}

static void test_probes_come_to_a_result(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	struct probe_result results[PROBE_COUNT];
	struct err err = ERR_INIT;

	if (probe_run_all(&guest->kvm, results, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(results[PROBE_LOOP].outcome, PROBE_OK);
	assert_true(results[PROBE_LOOP].mips > 0.01);
	/* Every KVM can do what comes from its interrupt chip; of the rest it must say why not. */
	for (int i = 0; i < PROBE_COUNT; i++) {
		if (results[i].outcome == PROBE_FAILED)
			assert_true(strlen(results[i].detail) > 10);
		if (i >= PROBE_LEVEL_IRQ && results[i].outcome != PROBE_OK)
			fail_msg("%s: %s", probe_name((enum probe_id)i), results[i].detail);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status_report_and_error_agree),
		cmocka_unit_test(test_quiet_prints_nothing),
		cmocka_unit_test_setup_teardown(
			test_probes_come_to_a_result, guest_setup, guest_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
