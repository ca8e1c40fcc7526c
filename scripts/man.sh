#!/bin/sh
# man.sh [--check] DIR: writes a man page for each command into DIR, or says which of
# those there differ from what would be written.
set -eu
check=
if [ "$1" = --check ]; then
	check=yes
	shift
fi
dir=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
CGO_ENABLED=0 "${GO:-go}" run ./scripts/manpages "$tmp"
if [ -z "$check" ]; then
	mkdir -p "$dir"
	rm -f "$dir"/*.1
	cp "$tmp"/* "$dir"
elif ! diff -r "$tmp" "$dir"; then
	echo "the man pages in $dir are not those of the commands: run 'make man'" >&2
	exit 1
elif command -v mandoc >/dev/null; then
	mandoc -T lint -W error "$dir"/*.1
fi
