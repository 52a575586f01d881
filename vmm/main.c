/*
 * The program: finds the verb or reads the options, runs what they ask for, and
 * prints the one sentence of a failure. The only caller of exit().
 *
 * One thread until vm_run() makes others.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "vmm/base/err.h"
#include "vmm/base/log.h"
#include "vmm/config.h"
#include "vmm/core/explain.h"
#include "vmm/doctor.h"
#include "vmm/help.h"
#include "vmm/kvm/leave.h"
#include "vmm/machine_paper.h"
#include "vmm/running.h"
#include "vmm/tool_exec.h"
#include "vmm/verbs.h"
#include "vmm/vm.h"

/* "TEXT." or what already ends like a sentence. */
static void print_sentence(const char *text)
{
	size_t len = strlen(text);

	log_error("%s%s", text, len && strchr(".?!", text[len - 1]) ? "" : ".");
}

static void print_err(const struct err *err)
{
	print_sentence(err->text);
	if (err->hint[0])
		print_sentence(err->hint);
}

/* What was printed must have arrived: `vmm --help > /dev/full` is a failure. */
static int finish_output(int status, struct err *err)
{
	if ((fflush(stdout) || ferror(stdout)) && status == EXIT_CODE_OK) {
		err_set(err, EXIT_CODE_INTERNAL, EIO, "can't write to standard output");
		return EXIT_CODE_INTERNAL;
	}
	return status;
}

/* ---- Verbs: the words behind the verb; the result is the exit status ---- */

static int refuse_word(const char *verb, const char *word, struct err *err)
{
	err_set(err, EXIT_CODE_USAGE, EINVAL, "%s: there is no use for the word '%.60s'", verb,
		word);
	err_hint(err, "vmm help %s says what it takes", verb);
	return EXIT_CODE_USAGE;
}

static int run_doctor(int argc, char *const *argv, struct err *err)
{
	bool quiet = argc > 0 && (!strcmp(argv[0], "-q") || !strcmp(argv[0], "--quiet"));
	int status;

	if (argc > quiet)
		return refuse_word("doctor", argv[quiet], err);
	status = doctor_run(quiet, stdout, err);
	/* The verdict was printed with the table, or is not wanted. */
	if (status == EXIT_CODE_KVM)
		err_clear(err);
	return status;
}

/* The two forms that make files of the installation are in no list. */
static int run_help(int argc, char *const *argv, struct err *err)
{
	int ret = 0;

	if (argc == 2 && !strcmp(argv[0], "--man"))
		ret = help_print_man(stdout, argv[1], err);
	else if (argc == 2 && !strcmp(argv[0], "--completion"))
		ret = help_print_completion(stdout, argv[1], err);
	else if (argc > 1)
		return refuse_word("help", argv[1], err);
	else if (argc == 1)
		ret = help_print_verb(stdout, argv[0], err);
	else
		help_print_all(stdout);
	return ret < 0 ? (int)err->kind : EXIT_CODE_OK;
}

static int run_version(int argc, char *const *argv, struct err *err)
{
	if (argc > 0)
		return refuse_word("version", argv[0], err);
	help_print_version(stdout);
	return EXIT_CODE_OK;
}

static int run_verb(const char *name, int argc, char *const *argv, struct err *err)
{
	if (argc == 1 && (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h"))) {
		int ret = help_print_verb(stdout, name, err);

		return ret < 0 ? (int)err->kind : EXIT_CODE_OK;
	}
#define VERB(verb, arguments, completes, summary, text)                                            \
	if (!strcmp(name, #verb))                                                                  \
		return run_##verb(argc, argv, err);
	VERB_TABLE(VERB)
#undef VERB
#define TOOL(tool, arguments, completes, summary, text)                                            \
	if (!strcmp(name, #tool))                                                                  \
		return tool_exec(name, argc, argv, err) < 0 ? (int)err->kind : EXIT_CODE_OK;
	TOOL_TABLE(TOOL)
#undef TOOL
	ASSERT(!"a verb of the table has no function");
	return EXIT_CODE_INTERNAL;
}

/* ---- The machine ---- */

static uint64_t host_memory_bytes(void)
{
	struct sysinfo info;

	if (sysinfo(&info))
		return UINT64_MAX;
	return ((uint64_t)info.totalram + info.totalswap) * info.mem_unit;
}

/* Somebody who started it from a menu, say, sees a window and nothing else. */
static bool is_on_desktop(void)
{
	const char *x11 = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");

	return ((x11 && *x11) || (wayland && *wayland)) && !isatty(STDOUT_FILENO);
}

static int run_machine(struct vm_config *config, struct err *err)
{
	if (config->quiet)
		log_set_level(LOG_WARN);
	if (config->verbose)
		log_set_level(LOG_DEBUG);
	if (config->explain || config->explain_only) {
		const char *path = config->explain ? config->explain : "-";
		int fd = config->explain_only ? STDOUT_FILENO : STDERR_FILENO;

		if (explain_start(path, fd, err) < 0)
			return (int)err->kind;
	}
	if (config->dump_dtb || config->dump_acpi || config->explain_only)
		return machine_paper_run(config, err) < 0 ? (int)err->kind : EXIT_CODE_OK;
	config_choose_window(config, is_on_desktop());
	if (config_check_memory(config, host_memory_bytes(), err) < 0)
		return (int)err->kind;
	return vm_run(config, err);
}

static int run_options(int argc, char *const *argv, struct err *err)
{
	uint64_t main_ns = util_now_ns();
	struct vm_config config;
	int status = EXIT_CODE_OK;

	if (config_parse(argc, argv, &config, err) < 0)
		status = (int)err->kind;
	else if (config.show_help)
		help_print_all(stdout);
	else if (config.show_version)
		help_print_version(stdout);
	else if (config.peer)
		status = tool_exec("print_cmdline", argc, argv, err) < 0 ? (int)err->kind
									 : EXIT_CODE_OK;
	else {
		config.main_ns = main_ns;
		status = run_machine(&config, err);
	}
	config_finish(&config);
	return status;
}

/*
 * A standard file that is closed would be the number of the next file that is
 * opened, a disk perhaps, and what is printed would go into it. Such a number is
 * given to a file that ends at once when read and can't be written: what is lost
 * then is an error as ever.
 */
static void hold_standard_files(void)
{
	struct pollfd files[] = {
		{.fd = STDIN_FILENO}, {.fd = STDOUT_FILENO}, {.fd = STDERR_FILENO}};

	if (poll(files, ARRAY_SIZE(files), 0) <= 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (files[i].revents & POLLNVAL && open("/dev/null", O_RDONLY) < 0) {
			log_error("a standard file is closed, and /dev/null can't be opened in its "
				  "place: %s",
				strerror(errno));
			exit(EXIT_CODE_INTERNAL);
		}
	}
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	int status;

	hold_standard_files();
	if (argc > 1 && verb_find(argv[1]))
		status = run_verb(argv[1], argc - 2, argv + 2, &err);
	else
		status = run_options(MAX(argc - 1, 0), argv + MIN(argc, 1), &err);
	status = finish_output(status, &err);
	if (err_is_set(&err))
		print_err(&err);
	leave_vm_behind();
	exit(status);
}
