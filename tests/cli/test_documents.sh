#!/bin/bash
# The man page, the shell completions and the installation.
. "$(dirname "$0")/lib.sh"

cd "$top" || exit 1

# ---- The man page ----

"$vmm" help --man vmm/vmm.1 >"$work/vmm.1"
if command -v mandoc >/dev/null; then
	# Whether other pages are installed is not this page's fault.
	mandoc -Tlint "$work/vmm.1" 2>/dev/null | grep -v 'referenced manual' >"$work/lint"
	check "the man page has no fault" diff /dev/null "$work/lint"
	mandoc -Tutf8 "$work/vmm.1" | sed 's/.\x08//g' >"$work/page"
	for word in NAME SYNOPSIS DESCRIPTION OPTIONS VERBS KEYS ENVIRONMENT FILES 'EXIT STATUS' \
		EXAMPLES 'SEE ALSO' '--kernel FILE' '-m, --memory SIZE' '--initrd, --initramfs FILE' \
		'serial=TEXT' 'doctor [-q]' 'Ctrl-a x' '128+N'; do
		check "the man page says: $word" grep -qF -- "$word" "$work/page"
	done
else
	skip "the man page has no fault" "mandoc is not installed"
fi

# ---- Completions ----

"$vmm" help --completion bash >"$work/vmm.bash"
"$vmm" help --completion zsh >"$work/_vmm"

# bash_completes CANDIDATES WORD...: typed `vmm WORD...` with the cursor behind the last one, taken
# apart as readline does; candidates are separated by spaces.
bash_completes() {
	local wanted=$1 got
	shift
	got=$(bash --norc -c '
		. "$0"
		compopt() { :; }
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_vmm
		echo "${COMPREPLY[*]}"' "$work/vmm.bash" vmm "$@" 2>&1)
	if [ "$got" = "$wanted" ]; then
		ok "bash completes: vmm $*"
	else
		not_ok "bash completes: vmm $*" "wanted: $wanted" "got: $got"
	fi
}

cd "$work" || exit 1
: >kernel.one
: >kernel.two
bash_completes '--kernel' --ker
bash_completes 'doctor' doc
bash_completes '' nothing-like-it
bash_completes '--timeout' --kernel x --tim
bash_completes 'kernel.one kernel.two' --kernel ker
bash_completes 'kernel.one kernel.two' --kernel = ker
bash_completes 'kernel.two' inspect kernel.tw
bash_completes 'version' help ver
bash_completes 'stdio' --serial st
bash_completes 'stdio' --serial = st
bash_completes 'file:' --serial 'fi'
bash_completes 'kernel.one,ro' --disk kernel.one,r
bash_completes '' --memory 1
check "the bash completion is a sound script" shellcheck "$work/vmm.bash"

if command -v zsh >/dev/null; then
	# shellcheck disable=SC2016 # zsh expands them
	check "zsh loads the completion" zsh -f -c '
		fpath=("$0" $fpath)
		autoload -U compinit && compinit -D -u
		[[ ${_comps[vmm]} == _vmm ]] && autoload +X _vmm' "$work"
	# shellcheck disable=SC2016 # zsh expands them
	# _arguments is asked for what it would offer: a fake of it prints its specifications.
	check "zsh's specifications name --kernel" zsh -f -c '
		_arguments() { print -l -- "$@" }
		compdef() { : }
		. "$0/_vmm"
		words=(vmm --ker) CURRENT=2
		_vmm | grep -qF -- "--kernel=["' "$work"
else
	skip "zsh loads the completion" "zsh is not installed"
fi

# ---- Installation ----

cd "$top" || exit 1
install_to() {
	"${MAKE:-make}" --no-print-directory -s "BUILD=$build" "$1" PREFIX=/usr "DESTDIR=$work/root"
}
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL
check "make install" install_to install
for file in bin/vmm share/man/man1/vmm.1 share/bash-completion/completions/vmm \
	share/zsh/site-functions/_vmm share/doc/vmm/LICENSE; do
	check "installs $file" test -s "$work/root/usr/$file"
done
check "the installed program runs" "$work/root/usr/bin/vmm" --version
check "make uninstall" install_to uninstall
check "nothing is left" test -z "$(find "$work/root" ! -type d)"
finish
