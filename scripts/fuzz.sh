#!/bin/sh
# fuzz.sh TIME: runs every fuzz target of the module for that time, one after
# another.
set -eu
for package in $(go list ./...); do
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "fuzz $package $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$1" -fuzzminimizetime 10x "$package" >/tmp/fuzz.$$ 2>&1 || {
			cat /tmp/fuzz.$$
			rm -f /tmp/fuzz.$$
			exit 1
		}
		tail -n 1 /tmp/fuzz.$$
		rm -f /tmp/fuzz.$$
	done
done
