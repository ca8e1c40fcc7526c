#!/bin/sh
# fuzz.sh TIME: runs every fuzz target of the module for that time, one after
# another.
set -eu
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Up to 1.26, go sometimes reports the end of the time as a failure of the
# target (go.dev/issue/75804). What fails in earnest leaves its input.
only_ended() {
	grep -qx '    context deadline exceeded' "$log" &&
		! grep -q 'Failing input written' "$log"
}

for package in $("${GO:-go}" list ./...); do
	for target in $("${GO:-go}" test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "fuzz $package $target"
		"${GO:-go}" test -run '^$' -fuzz "^$target\$" -fuzztime "$1" -fuzzminimizetime 10x "$package" >"$log" 2>&1 || only_ended || {
			cat "$log"
			exit 1
		}
		tail -n 1 "$log"
	done
done
