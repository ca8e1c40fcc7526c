#!/bin/sh
# gotest.sh ARGUMENT...: go test with these arguments, showing what matters: the
# result of each package, which tests were skipped and why, and of a failure
# everything but what passed.
set -eu
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if "${GO:-go}" test -v "$@" >"$log" 2>&1; then
	grep -E '^ok' "$log"
	grep -B 1 -E '^ *--- SKIP' "$log" | grep -vE '^(--|=== .*)$' || true
else
	status=$?
	grep -vE '^(=== |PASS$| *--- PASS)' "$log"
	exit "$status"
fi
