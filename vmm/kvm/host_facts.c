/*
 * See host_facts.h. Sources: proc(5), sysfs; Intel SDM vol. 4 (IA32_FEATURE_CONTROL, 3AH),
 * AMD APM vol. 2, 15.30.1 (VM_CR, C001_0114H) for "off in firmware".
 */
#include "vmm/kvm/host_facts.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <mntent.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "vmm/base/util.h"

#define MSR_IA32_FEATURE_CONTROL 0x3a
#define FEATURE_CONTROL_LOCKED	 (1u << 0)
#define FEATURE_CONTROL_VMX	 (1u << 2) /* outside SMX */
#define MSR_VM_CR		 0xc0010114
#define VM_CR_SVM_DISABLED	 (1u << 4)

/* True when `word` stands in `list`, a string of words between spaces. */
static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = list; (p = strstr(p, word)); p += len) {
		bool starts = p == list || isspace((unsigned char)p[-1]);
		bool ends = !p[len] || isspace((unsigned char)p[len]);

		if (starts && ends)
			return true;
	}
	return false;
}

static void copy_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
	to[strcspn(to, "\n")] = '\0';
}

/* First line of a small file; empty when it can't be read. */
static void read_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");

	line[0] = '\0';
	if (!file)
		return;
	if (!fgets(line, (int)size, file))
		line[0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	fclose(file);
}

static void take_cpu_line(struct host_facts *facts, const char *key, const char *value)
{
	if (!strcmp(key, "processor")) {
		facts->cpu_count++;
	} else if (!strcmp(key, "model name")) {
		copy_text(facts->cpu_model, sizeof(facts->cpu_model), value);
	} else if (!strcmp(key, "vendor_id")) {
		if (!strncmp(value, "GenuineIntel", 12))
			facts->cpu = HOST_CPU_INTEL;
		else if (!strncmp(value, "AuthenticAMD", 12) || !strncmp(value, "HygonGenuine", 12))
			facts->cpu = HOST_CPU_AMD;
	} else if (!strcmp(key, "flags")) {
		facts->has_virt_flag = has_word(value, "vmx") || has_word(value, "svm");
		facts->is_guest = has_word(value, "hypervisor");
	}
}

static void gather_cpu(struct host_facts *facts)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char *line = NULL;
	size_t size = 0;

	if (!file)
		return;
	while (getline(&line, &size, file) > 0) {
		char *colon = strchr(line, ':');
		char *end = colon;

		if (!colon)
			continue;
		while (end > line && isspace((unsigned char)end[-1]))
			end--;
		*end = '\0';
		colon++;
		colon += strspn(colon, " \t");
		take_cpu_line(facts, line, colon);
	}
	free(line);
	fclose(file);
}

static bool read_msr(uint32_t index, uint64_t *value)
{
	int fd = open("/dev/cpu/0/msr", O_RDONLY | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return false;
	ok = pread(fd, value, sizeof(*value), index) == sizeof(*value);
	close(fd);
	return ok;
}

static void gather_firmware_switch(struct host_facts *facts)
{
	uint64_t value;

	if (facts->cpu == HOST_CPU_INTEL && read_msr(MSR_IA32_FEATURE_CONTROL, &value))
		facts->off_in_firmware =
			(value & FEATURE_CONTROL_LOCKED) && !(value & FEATURE_CONTROL_VMX);
	if (facts->cpu == HOST_CPU_AMD && read_msr(MSR_VM_CR, &value))
		facts->off_in_firmware = value & VM_CR_SVM_DISABLED;
}

/* Built-in modules with parameters show up here as well. */
static void gather_modules(struct host_facts *facts)
{
	DIR *dir = opendir("/sys/module");
	const struct dirent *entry;
	size_t used = 0;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, "kvm", 3))
			continue;
		if (!strncmp(entry->d_name, "kvm_", 4))
			facts->has_vendor_module = true;
		if (used + strlen(entry->d_name) + 2 < sizeof(facts->modules))
			used += (size_t)snprintf(facts->modules + used,
				sizeof(facts->modules) - used, "%s%s", used ? " " : "",
				entry->d_name);
	}
	closedir(dir);
}

static void gather_kernel(struct host_facts *facts)
{
	struct utsname names;

	if (!uname(&names))
		snprintf(facts->kernel, sizeof(facts->kernel), "%.30s %.60s", names.sysname,
			names.release);
	/* What Podman, Docker, LXC and systemd-nspawn leave behind. */
	facts->in_container = !access("/run/.containerenv", F_OK) || !access("/.dockerenv", F_OK) ||
		!access("/run/systemd/container", F_OK) || getenv("container");
}

static void gather_user(struct host_facts *facts)
{
	const struct passwd *entry;

	facts->uid = geteuid();
	entry = getpwuid(facts->uid);
	if (entry)
		copy_text(facts->user, sizeof(facts->user), entry->pw_name);
	else
		snprintf(facts->user, sizeof(facts->user), "#%u", (unsigned)facts->uid);
}

static bool process_has_group(gid_t gid)
{
	gid_t groups[256];
	int count = getgroups(ARRAY_SIZE(groups), groups);

	for (int i = 0; i < count; i++)
		if (groups[i] == gid)
			return true;
	return getegid() == gid;
}

static void gather_node(struct host_facts *facts)
{
	const struct group *group;
	struct stat st;

	if (stat("/dev/kvm", &st) < 0)
		return;
	facts->node_exists = true;
	facts->node_is_device = S_ISCHR(st.st_mode);
	facts->node_mode = st.st_mode & 07777;
	facts->group_is_ours = process_has_group(st.st_gid);
	group = getgrgid(st.st_gid);
	if (!group) {
		snprintf(facts->node_group, sizeof(facts->node_group), "%u", (unsigned)st.st_gid);
		return;
	}
	copy_text(facts->node_group, sizeof(facts->node_group), group->gr_name);
	for (char **name = group->gr_mem; *name; name++)
		facts->group_lists_us = facts->group_lists_us || !strcmp(*name, facts->user);
}

static void gather_memory(struct host_facts *facts)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long long kib;
	char line[160], *open, *close_at;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "MemTotal: %llu kB", &kib) == 1)
			facts->memory_bytes = kib * KIB;
		else if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			facts->memory_free_bytes = kib * KIB;
	}
	if (file)
		fclose(file);
	read_line("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", line, sizeof(line));
	facts->hugepages_free = strtoull(line, NULL, 10);
	/* "always [madvise] never": the chosen one is in brackets. */
	read_line("/sys/kernel/mm/transparent_hugepage/enabled", line, sizeof(line));
	open = strchr(line, '[');
	close_at = open ? strchr(open, ']') : NULL;
	if (close_at) {
		*close_at = '\0';
		copy_text(facts->thp, sizeof(facts->thp), open + 1);
	}
}

/* KVM_CREATE_VM makes a thread and moves it into our cgroup. */
static void gather_cgroups(struct host_facts *facts)
{
	FILE *file = setmntent("/proc/self/mounts", "re");
	struct mntent *mount;

	while (file && !facts->cgroups[0] && (mount = getmntent(file))) {
		if (strcmp(mount->mnt_type, "cgroup2"))
			continue;
		copy_text(facts->cgroups, sizeof(facts->cgroups), mount->mnt_dir);
		facts->cgroups_are_quick = hasmntopt(mount, "favordynmods");
	}
	if (file)
		endmntent(file);
}

static void gather_tun(struct host_facts *facts)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	facts->has_tun = fd >= 0;
	if (fd >= 0)
		close(fd);
}

void host_facts_gather(struct host_facts *facts)
{
	*facts = (struct host_facts){0};
	gather_cpu(facts);
	gather_firmware_switch(facts);
	gather_modules(facts);
	gather_kernel(facts);
	gather_user(facts);
	gather_node(facts);
	gather_memory(facts);
	gather_tun(facts);
	gather_cgroups(facts);
}

const char *host_facts_module(const struct host_facts *facts)
{
	return facts->cpu == HOST_CPU_INTEL ? "kvm_intel" : "kvm_amd";
}
