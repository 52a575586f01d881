#!/bin/bash
# test_matrix.sh - Debian's stock kernels, as packaged, boot to a shell prompt with several numbers
# of CPUs and sizes of memory, see just these, and complain of nothing. Likewise the small kernel
# of our own, which needs no initrd. FULL=1 tries all combinations, not just some that cover all
# values. Without ACPI a kernel finds its CPUs by the MP tables.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# value NAME: of the latest report.
value() {
	sed -n "s/^$1 //p" "$report"
}

# Kernels keep some memory for themselves: a 64th for struct page, their code, and beyond 4 GiB
# 64 MiB for devices that can't reach all of it.
sees_memory() {
	local wanted_kib=$(($1 * 1024)) total_kib ram_kib kept_kib
	kept_kib=$((wanted_kib / 50 + 48 * 1024))
	[ "$1" -le 3072 ] || kept_kib=$((kept_kib + 64 * 1024))
	ram_kib=$(value ram_kib) total_kib=$(value memtotal_kib)
	printf '#   RAM %s KiB, MemTotal %s KiB of %s KiB\n' "$ram_kib" "$total_kib" "$wanted_kib"
	[ "$ram_kib" -le "$wanted_kib" ] && [ "$ram_kib" -ge $((wanted_kib - 1024)) ] &&
		[ "$total_kib" -le "$wanted_kib" ] &&
		[ "$total_kib" -ge $((wanted_kib - kept_kib)) ]
}

sees_cpus() {
	is "$1 CPUs, $1 in cpuinfo, $1 with hypervisor flag, $1 cores of 1 package, $1 threads, $1 APIC ids" \
		"$(value cpus) CPUs, $(value cpuinfo) in cpuinfo, $(value hypervisor) with hypervisor flag, $(
			value cores
		) cores of $(value packages) package, $(value threads) threads, $(value apicids) APIC ids"
}

# Not counted: this machine has no PCI, and stock kernels count that as an error; how fast the
# host's processor is to be mitigated is the host's; and that a processor's time stamp counters may
# differ is what Linux assumes where the host does not promise that they do not.
harmless='PCI: Fatal: No config space access function found|Speculative Return Stack Overflow'
grep -q constant_tsc /proc/cpuinfo || harmless+='|Marking TSC unstable due to TSCs unsynchronized'
complains_of_nothing() {
	! grep '^complaint' "$report" | grep -vE "$harmless" | sed 's/^/#   /' | grep .
}

# boot NAME CPUS MEMORY-IN-MIB
boot() {
	local name="$1, $2 CPUs, $3 MiB"
	report=$work/report
	start_guest '' --cpus "$2" --memory "$3M"
	if ! check "$name: a prompt" expect "$prompt"; then
		end_guest
		return
	fi
	send "$(guest_command report); poweroff"
	expect '^report ends$'
	tr -d '\r' <"$console" | sed -n '/^report begins$/,/^report ends$/p' >"$report"
	check "$name: power-off" ends_with 0
	check "$name: CPUs" sees_cpus "$2"
	check "$name: memory" sees_memory "$3"
	check "$name: no complaint" complains_of_nothing
}

if [ "${FULL-}" ]; then
	combinations=({cloud,amd64}" "{1,2,4}" "{128,1024,6144})
else
	combinations=('cloud 1 128' 'cloud 2 1024' 'cloud 4 6144'
		'amd64 4 128' 'amd64 1 1024' 'amd64 2 6144')
fi
for combination in "${combinations[@]}"; do
	read -r flavour cpus mib <<<"$combination"
	kernel=$guests/default/vmlinuz-$flavour initrd=$guests/default/initrd-$flavour.img
	boot "$flavour kernel" "$cpus" "$mib"
done

# The cloud kernel can't read MP tables. Without ACPI it finds no disk: its own messages tell.
start_vmm --kernel "$guests/default/vmlinuz-amd64" -m 128M --cpus 2 --net none --append acpi=off
check "amd64 kernel without ACPI: it finds the MP tables" expect 'Intel MultiProcessor Specification v1\.4'
check "amd64 kernel without ACPI: 2 CPUs" expect 'smp: Brought up 1 node, 2 CPUs'
end_guest

kernel=$guests/linux/bzImage initrd=''
if [ -e "$kernel" ]; then
	boot "own kernel from --kernel and --disk" 2 512
else
	skip "own kernel from --kernel and --disk" "it is not built (make guest-linux)"
fi
finish
