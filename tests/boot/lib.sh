# shellcheck shell=bash
# lib.sh - what the boot tests share: starting a guest, talking to it, waiting for its end, and a
# line for each result. A test begins with
#
#   . "$(dirname "$0")/lib.sh"
#   start_guest '' --cpus 2                  the default guest, with more options of vmm
#   expect "$prompt"                         on its console
#   send 'echo hello; poweroff'
#   check "it greets" expect '^hello$'
#   check "it powers off" ends_with 0
#   finish                                   the last line of every test
#
# Started where KVM can't run a stock kernel, a test runs itself again through scripts/with-kvm.
# Each test works in $work, a folder of its own that goes away at the end with all its processes.
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
build=$(cd "$top" && realpath -m -- "${BUILD:-build}")
vmm=${VMM:-$build/vmm}
[ -x "$vmm" ] || {
	echo "not ok - there is no $vmm (make)"
	exit 1
}
guests=$build/guest
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C

# A test that sets $anywhere before it sources this file needs no KVM.
if [ -z "${anywhere-}${VMM_NESTED-}${BOOT_TEST_IS_PLACED-}" ]; then
	export BOOT_TEST_IS_PLACED=1
	exec "$top/scripts/with-kvm" --cpus 1 --memory "${BOOT_TEST_MEMORY:-4096}" --no-tty \
		--time-limit 1500 -- "$0" "$@"
fi

# Seconds for anything that a guest is waited for. An emulated host may be busy: generous.
patience_s=${BOOT_TEST_PATIENCE_S:-120}
# The shell of the default guest is ready.
# shellcheck disable=SC2034 # used by the tests
prompt='^guest:[^ ]*# '

work=$(mktemp -d)
# Our machines are found by their names here, and nobody else's.
export XDG_RUNTIME_DIR=$work
all_pids=()
guest='' console='' errors='' status='' matched='' unmatched=''
guest_count=0 bad_count=0

cleanup() {
	[ "${#all_pids[@]}" -eq 0 ] || kill -KILL "${all_pids[@]}" 2>/dev/null
	wait 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

# ---- Results ----

ok() {
	printf 'ok - %s\n' "$1"
}

# not_ok NAME: with what the latest guest said last.
not_ok() {
	bad_count=$((bad_count + 1))
	printf 'not ok - %s\n' "$1"
	[ -z "$errors" ] || [ ! -s "$errors" ] || tail -n 12 "$errors" | sed 's/^/#   stderr:  /'
	[ -z "$console" ] || [ ! -s "$console" ] ||
		tail -n 12 "$console" | tr -d '\r\000' | sed 's/^/#   console: /'
}

skip() {
	printf 'skip - %s: %s\n' "$1" "$2"
}

# check NAME COMMAND...: ok if the command succeeds.
check() {
	local name=$1
	shift
	if "$@"; then
		ok "$name"
	else
		not_ok "$name"
		return 1
	fi
}

# is WANTED GOT
is() {
	[ "$1" = "$2" ] && return
	printf '#   wanted: %q\n#   got:    %q\n' "$1" "$2"
	return 1
}

# has FILE TEXT: the text stands in the file.
has() {
	grep -qaF -- "$2" "$1" && return
	printf '#   not found: %s\n' "$2"
	return 1
}

# succeeds COMMAND...: what it printed is shown only when it fails.
succeeds() {
	local output
	output=$("$@" 2>&1) && return
	printf '%s\n' "$output" | sed 's/^/#   /'
	return 1
}

finish() {
	[ "$bad_count" -eq 0 ]
	exit
}

# ---- Guests ----

# start_vmm OPTION...: with a console that expect and send work on. $guest is the process.
start_vmm() {
	local dir=$work/guest$((++guest_count))
	mkdir "$dir"
	mkfifo "$dir/input"
	console=$dir/console errors=$dir/errors status='' unmatched=''
	: >"$console"
	"$vmm" "$@" <"$dir/input" >"$console" 2>"$errors" &
	guest=$!
	all_pids+=("$guest")
	# Opening one end waits for the other; both here, so that it never does.
	exec {to_guest}<>"$dir/input" {from_guest}<"$console"
}

# start_guest WORDS OPTION...: Debian's cloud kernel with the default root, whose changes are
# thrown away, as /dev/vda, and our scripts (tests/boot/guest) as /dev/vdb. WORDS go to the
# kernel's command line, OPTIONs to vmm; VMM's --kernel and --initrd come from $kernel and $initrd.
# Without --net or -p among the options there is no network card, which would cost time.
kernel=$guests/default/vmlinuz-cloud
initrd=$guests/default/initrd-cloud.img
root=$guests/default/root.img
start_guest() {
	local words=$1
	shift
	case " $* " in
	*' --net'* | *' -p '*) ;;
	*) set -- --net none "$@" ;;
	esac
	make_scripts_disk
	start_vmm --kernel "$kernel" ${initrd:+--initrd "$initrd"} --append "quiet $words" \
		--disk "$root,ephemeral" --disk "$work/scripts.img,ro" "$@"
}

# share_with_users: what a guest is started from goes to where any user may read it, for the tree
# may lie in a folder that is its owner's alone.
share_with_users() {
	local shared=$work/shared
	mkdir "$shared" && cp "$vmm" "$kernel" "$initrd" "$root" "$shared/" || exit 1
	chmod 755 "$work" "$shared" && chmod a+r "$shared"/* || exit 1
	vmm=$shared/${vmm##*/} kernel=$shared/${kernel##*/} initrd=$shared/${initrd##*/}
	root=$shared/${root##*/}
}

# The kernel's word that lets the default root run one of our scripts and then power off.
# in_guest SCRIPT ARGUMENT...
in_guest() {
	printf 'vmm.run="%s"' "$(guest_command "$@")"
}

# The same as a line for the guest's shell.
guest_command() {
	printf 'mount -o ro /dev/vdb /mnt && /mnt/%s' "$*"
}

make_scripts_disk() {
	[ -e "$work/scripts.img" ] || make_ext4 "$work/scripts.img" 2M -O ^has_journal -d "$here/guest"
}

# make_ext4 FILE SIZE OPTION...: an empty file system, or what the options of mke2fs ask for.
make_ext4() {
	local file=$1 size=$2
	shift 2
	truncate -s "$size" "$file" && mke2fs -q -F -t ext4 "$@" "$file"
}

is_running() {
	kill -0 "$guest" 2>/dev/null
}

# shown TEXT: sets $matched to what a terminal would show of a line: what follows its last carriage
# return but the one that ends it.
shown() {
	matched=${1%$'\r'}
	matched=${matched##*$'\r'}
}

# expect PATTERN [SECONDS], expect_line PATTERN [SECONDS]: go through the console from where the last
# of them ended, until a line matches the extended regular expression. $matched is that line. The
# first is content with the beginning of a line, as a prompt is one; the second reads all of it.
expect() {
	local pattern=$1 deadline=$((SECONDS + ${2:-$patience_s})) line gone='' why='time is over'
	while :; do
		# The time is for a console that is no file, where read would wait for more.
		if IFS= read -r -t 0.1 line <&"$from_guest"; then
			shown "$unmatched$line"
			unmatched=''
			[[ $matched =~ $pattern ]] && return
			continue
		fi
		unmatched+=$line
		shown "$unmatched"
		if [ -z "${whole_line-}" ] && [[ $matched =~ $pattern ]]; then
			unmatched=''
			return
		fi
		# What it wrote before it ended is looked at once more.
		[ -z "$gone" ] || break
		is_running || gone=yes why='vmm has ended'
		[ "$SECONDS" -lt "$deadline" ] || break
		sleep 0.05
	done
	printf '#   not on the console: %s (%s)\n' "$pattern" "$why"
	[ -n "$gone" ] || show_standstill
	return 1
}

# show_standstill: where a guest that says no more stands: its last lines, and what moves in a second.
show_standstill() {
	local round
	tail -n 3 "$console" | tr -d '\r\000' | sed 's/^/#   console: /'
	for round in 1 2; do
		"$vmm" list -q 2>/dev/null | xargs -r -n 1 "$vmm" stat >"$work/stat.$round" 2>&1
		sleep 1
	done
	diff "$work/stat.1" "$work/stat.2" | sed -n 's/^>/#   stat, a second later:/p' | head -n 30
}

expect_line() {
	local whole_line=yes
	expect "$@"
}

# send LINE: types it.
send() {
	printf '%s\n' "$1" >&"$to_guest"
}

# close_input: the guest's standard input ends.
close_input() {
	exec {to_guest}>&-
}

# wait_end [SECONDS]: waits for vmm's end and sets $status; kills it when it takes too long.
wait_end() {
	local deadline=$((SECONDS + ${1:-$patience_s}))
	while is_running; do
		if [ "$SECONDS" -ge "$deadline" ]; then
			printf '#   vmm had not ended after %s s\n' "${1:-$patience_s}"
			kill -KILL "$guest"
			break
		fi
		sleep 0.05
	done
	wait "$guest" 2>/dev/null
	status=$?
}

# ends_with STATUS [SECONDS]
ends_with() {
	[ -n "$status" ] || wait_end "${2:-$patience_s}"
	is "$1" "$status"
}

# end_guest: at once, when the rest of its life is of no interest.
end_guest() {
	kill -KILL "$guest" 2>/dev/null
	wait "$guest" 2>/dev/null
	status=killed
}

# ---- Networks ----

# make_tools: builds nettool (see nettool.c) for both sides: $nettool here, and on tools.img.
nettool=$work/tools/nettool
make_tools() {
	mkdir "$work/tools" &&
		"${CC:-gcc}" -static -O1 -D_GNU_SOURCE -o "$nettool" "$here/nettool.c" &&
		make_ext4 "$work/tools.img" 4M -O ^has_journal -d "$work/tools" || exit 1
}

# background COMMAND...: ends with the test.
background() {
	"$@" <&0 &
	all_pids+=("$!")
}

# arrived FILE MIB: waits for it; whether it is all, and right, is for the caller to see. The guest
# has sent all before this host's program has written all.
arrived() {
	local tries
	for ((tries = 0; tries < 300; tries++)); do
		[ "$(stat -c %s "$1")" -ge $(($2 << 20)) ] && return
		sleep 0.1
	done
}

# own_network: the test goes on in a network namespace of its own, where it may make interfaces.
own_network() {
	if [ -z "${BOOT_TEST_OWN_NETWORK-}" ]; then
		rm -rf "$work"
		[ "$(id -u)" = 0 ] || set -- --map-root-user
		BOOT_TEST_OWN_NETWORK=1 exec unshare "$@" --net --mount "$0"
	fi
	mount -t sysfs sysfs /sys && ip link set lo up
}

# keep_guest NAME, use_guest NAME: for tests with several guests; all else is about the latest.
declare -A kept_guests
keep_guest() {
	kept_guests[$1]="guest=$guest console=$console errors=$errors status=$status \
		to_guest=$to_guest from_guest=$from_guest"
}

use_guest() {
	eval "${kept_guests[$1]}"
	unmatched=''
}

# ---- Machines without Linux ----

# tiny ACTION [VALUE]: prints the name of an ELF kernel of a few instructions (see tiny.S).
tiny() {
	local elf=$work/tiny-$1-${2-}
	if [ ! -e "$elf" ]; then
		"${CC:-gcc}" "-DACTION_$1" ${2:+"-DVALUE=$2"} -nostdlib -static -no-pie \
			-Wl,-n,-e,start,-Ttext=0x100000,--build-id=none,-z,noexecstack \
			-o "$elf" "$here/tiny.S" >&2 || exit 1
	fi
	printf %s "$elf"
}
