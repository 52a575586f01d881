#!/bin/sh
# check-config.sh FRAGMENT CONFIG: every line of the fragment took effect in the configuration.
# Kconfig drops a setting silently when what it depends on is missing. Lists all that differ.
set -u

awk '
	function setting(line) {
		if (line ~ /^# CONFIG_[A-Za-z0-9_]+ is not set$/) {
			split(line, words, " ")
			name = words[2]
			value = "n"
			return 1
		}
		if (line !~ /^CONFIG_[A-Za-z0-9_]+=/)
			return 0
		name = substr(line, 1, index(line, "=") - 1)
		value = substr(line, index(line, "=") + 1)
		return 1
	}
	NR == FNR {
		if (setting($0))
			have[name] = value
		next
	}
	setting($0) {
		got = name in have ? have[name] : "n"
		asked++
		if (got != value) {
			printf "%s is %s, asked for %s\n", name, got, value
			wrong++
		}
	}
	END {
		if (!asked)
			print "the fragment asks for nothing"
		exit wrong || !asked
	}' "$2" "$1"
