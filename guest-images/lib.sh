# shellcheck shell=sh
# Shared by the scripts that build guest images: messages, progress, the download cache, Debian
# packages, stamps. Sourced after `top` (the repository's root) is set. It knows no image.

: "${top:?set top before sourcing lib.sh}"
cache=${VMM_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/vmm}
# shellcheck disable=SC2034 # used by those who source this
out=${GUEST_OUT:-$top/build/guest}
image=${image:-guest}
ticker=
scratch=
downloads=
log=

# One fixed moment, so that the same inputs give the same image on every day.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1704067200}
E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH
export SOURCE_DATE_EPOCH E2FSPROGS_FAKE_TIME
export LC_ALL=C TZ=UTC
umask 022
# mke2fs and debugfs live in sbin, which an ordinary user's PATH may lack.
PATH=$PATH:/usr/sbin:/sbin

say() {
	printf 'guest %s: %s\n' "$image" "$*"
}

die() {
	stop_ticker
	printf 'guest %s: %s\n' "$image" "$*" >&2
	exit 1
}

# Marks of passing time behind the step's text: on a terminal a clock, in a log a growing list.
# When it is killed its sleep goes with it.
tick() {
	sleeper=
	trap 'kill "$sleeper" 2> /dev/null; exit' TERM
	waited_s=0
	wait_s=2
	while :; do
		sleep "$wait_s" &
		sleeper=$!
		wait "$sleeper"
		waited_s=$((waited_s + wait_s))
		if [ -t 1 ]; then
			printf '\rguest %s: %s ... %d s' "$image" "$1" "$waited_s"
		else
			printf ' %ds' "$waited_s"
			[ "$waited_s" -lt 8 ] || wait_s=10
			[ "$waited_s" -lt 60 ] || wait_s=30
		fi
		[ -z "$2" ] || printf ' (%d %s)' "$(wc -l < "$log")" "$2"
	done
}

stop_ticker() {
	[ -z "$ticker" ] || kill "$ticker" 2> /dev/null || true
	ticker=
}

cleanup() {
	[ -z "$ticker" ] || echo ' interrupted'
	stop_ticker
	rm -rf ${scratch:+"$scratch"} ${downloads:+"$downloads"} ${log:+"$log"}
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# step TEXT COMMAND...: one line for the step, progress beyond two seconds, and the command's
# output only when it fails. $step_unit, if set, says what a line of that output counts.
step() {
	if ! try_step "$@"; then
		tail -n 40 "$log" >&2
		die "the step '$1' failed; the last lines of its output stand above"
	fi
}

try_step() {
	text=$1
	shift
	[ -n "$log" ] || log=$(mktemp)
	: > "$log"
	printf 'guest %s: %s ...' "$image" "$text"
	started_s=$(date +%s)
	tick "$text" "${step_unit:-}" &
	ticker=$!
	"$@" > "$log" 2>&1
	status=$?
	stop_ticker
	if [ "$status" = 0 ]; then
		printf ' done (%d s)\n' $(($(date +%s) - started_s))
	else
		printf ' failed\n'
	fi
	return "$status"
}

# Everything unfinished lives in $scratch, on the same file system as the outputs, so that mv is
# atomic and an interrupted build leaves nothing that looks like an image. The caller holds the
# lock, so what a killed build left there is nobody's.
make_scratch() {
	rm -rf "$1"/.tmp.*
	scratch=$(mktemp -d "$1/.tmp.XXXXXX")
	chmod 755 "$scratch"
}

# One build of an image at a time: a second caller waits and then finds it done.
lock_output() {
	mkdir -p "$1"
	exec 9> "$1/.lock"
	flock 9
}

need_packages() {
	[ ! -x "$top/scripts/need-packages" ] || "$top/scripts/need-packages" "$@"
}

# For an ordinary user the files of an image belong to root by fakeroot's word.
as_root_owner() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		fakeroot -- "$@"
	fi
}

# build_port_program NAME FOLDER: one of shared/*.c, which need no C library.
build_port_program() {
	${CC:-cc} -Os -Wall -Wextra -static -nostdlib -ffreestanding -fno-stack-protector \
		-fno-pie -no-pie -fcf-protection=none -fno-asynchronous-unwind-tables \
		-Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,noseparate-code -s \
		-o "$2/$1" "$top/guest-images/shared/$1.c"
}

# install_shared FOLDER: the programs that every guest gets.
install_shared() {
	mkdir -p "$1" &&
		install -m 755 "$top/guest-images/shared/kernel-arg" "$1/" &&
		build_port_program exit-vm "$1" && build_port_program mark-vm "$1"
}

# Prints one hash over the words on stdin and over the named files and folders (relative to $top).
hash_inputs() {
	{
		cat
		(cd "$top" && find "$@" -type f -exec sha256sum {} + | sort)
	} | sha256sum | cut -c 1-32
}

# up_to_date STAMP KEY FILE...: all files are there and were made from inputs with this hash.
up_to_date() {
	stamp=$1
	key=$2
	shift 2
	[ -e "$stamp" ] && [ "$(cat "$stamp")" = "$key" ] || return 1
	for made; do
		[ -e "$made" ] || return 1
	done
}

# apt without root: package lists of our own, beside the downloaded packages.
use_own_apt_lists() {
	apt_dir=$cache/apt
	mkdir -p "$apt_dir/lists/partial" "$apt_dir/archives/partial"
	cat > "$apt_dir/apt.conf" <<-CONF
		Dir::State::Lists "$apt_dir/lists";
		Dir::Cache "$apt_dir";
	CONF
	export APT_CONFIG="$apt_dir/apt.conf"
	own_apt_lists=1
	try_step "read Debian's package lists" apt-get -q -o APT::Sandbox::User=root update
}

candidate_version() {
	apt-cache show --no-all-versions "$1" 2> /dev/null | sed -n 's/^Version: //p' | head -n 1
}

# Prints the newest cached .deb of package $1 with version $2 (a pattern), or nothing.
# File names in the archive write an epoch's colon as %3a.
cached_deb() {
	find "$cache/debs" -maxdepth 1 -name "$1_$(printf %s "$2" | sed 's/:/%3a/')_*.deb" |
		sort -V | tail -n 1
}

# fetch_deb PACKAGE: sets $deb to a cached .deb of apt's candidate version, downloading it if
# need be. Without package lists or without a network the newest cached version is good enough.
fetch_deb() {
	mkdir -p "$cache/debs"
	version=$(candidate_version "$1")
	deb=$(cached_deb "$1" "${version:-*}")
	[ -z "$deb" ] || return 0
	[ -z "$version" ] || ! download_deb "$1" || return 0
	# No lists, or they name a version that has left the archive: read them again, once.
	[ -n "${own_apt_lists:-}" ] || use_own_apt_lists || true
	! download_deb "$1" || return 0
	deb=$(cached_deb "$1" '*')
	[ -n "$deb" ] || die "cannot download the Debian package $1: is the network there?"
	say "cannot download $1 $version; using $(basename "$deb")"
}

download_deb() {
	version=$(candidate_version "$1")
	[ -n "$version" ] || return 1
	downloads=$(mktemp -d "$cache/debs/.tmp.XXXXXX")
	# shellcheck disable=SC2016 # $1 and $2 belong to the inner shell
	try_step "download $1 $version" sh -c \
		'cd "$1" && apt-get -q -o APT::Sandbox::User=root download "$2"' \
		- "$downloads" "$1=$version" || return 1
	mv "$downloads"/*.deb "$cache/debs/"
	rm -rf "$downloads"
	downloads=
	deb=$(cached_deb "$1" "$version")
}
