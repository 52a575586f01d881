# shellcheck shell=bash
# compare.sh - a figure beside its baseline, for those benchmarks that are tests.

limit_percent=3
compare_status=0

# compare WHAT NOW BEFORE: compare_status is 1 when it grew by more than the limit.
compare() {
	local change=$((($2 - $3) * 1000 / $3)) sign=''
	[ "$change" -ge 0 ] || sign=- change=$((-change))
	printf '%s: %s, baseline %s: %s%d.%d %%\n' "$1" "$2" "$3" "$sign" $((change / 10)) \
		$((change % 10))
	[ "$2" -le $(($3 + $3 * limit_percent / 100)) ] || {
		printf 'bench-check: %s grew by more than %s %%\n' "$1" "$limit_percent" >&2
		# shellcheck disable=SC2034 # those who source this end with it
		compare_status=1
	}
}
