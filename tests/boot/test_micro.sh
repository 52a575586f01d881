#!/bin/bash
# test_micro.sh - --machine micro with the kernel made for it (make guest-micro): processors, disk
# and network that the device tree describes; power-off, reboot, a serial port on request, signals.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

kernel=$guests/micro/vmlinux
if [ ! -e "$kernel" ]; then
	skip "--machine micro" "there is no ${kernel#"$top/"} (make guest-micro)"
	finish
fi

# start_micro WORDS OPTION...
start_micro() {
	local words=$1
	shift
	start_vmm --machine micro --kernel "$kernel" --append "quiet $words" \
		--disk "$root,ephemeral" "$@"
}

# ---- Linux on hvc0 ----

start_micro '' --cpus 2 --memory 256M --net user
check "a prompt on hvc0" expect "$prompt"
send 'nproc; cat /proc/device-tree/soc/interrupt-controller@fec00000/compatible; echo'
check "two processors" expect '^2$'
check "the device tree" expect 'intel,ce4100-ioapic'
send 'cut -d" " -f1 /proc/consoles'
check "the console is hvc0" expect '^hvc0'
send 'ls /sys/bus/pci/devices /sys/firmware/acpi 2>/dev/null | wc -l; ls /dev/ttyS0'
check "neither PCI nor ACPI" expect '^0$'
check "no serial port" expect 'No such file'
send 'cat /sys/devices/system/clocksource/clocksource0/current_clocksource'
check "KVM's clock" expect '^(kvm-clock|tsc)'
# The DHCP client may not have its answer yet.
send 'for i in 1 2 3 4 5 6 7 8 9; do ip -4 addr show eth0 | grep inet && break; sleep 1; done'
check "an address from the network" expect 'inet 10\.0\.2\.15'
send 'echo kept >/root/mark; sync; reboot'
check "reboot: the guest says so" expect 'Requesting system reboot'
check "reboot: a second prompt from the same process" expect "$prompt"
send 'cat /root/mark; nproc'
check "the disk kept what was written" expect '^kept$'
check "all processors are back" expect '^2$'
send 'poweroff'
check "power-off" ends_with 0

# ---- On request, and at the end ----

start_micro '' --cpus 1 --memory 128M --serial stdio --console serial
check "a prompt on the serial port" expect "$prompt"
send 'reboot -f'
check "a second one after reboot -f" expect "$prompt"
kill -TERM "$guest"
check "SIGTERM ends it at once, for there is no power button" ends_with 143 20
check "its sentence" has "$errors" "no power button"
finish
