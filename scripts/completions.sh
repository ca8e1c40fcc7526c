#!/bin/sh
# completions.sh [--check] DIR: writes the completion scripts of every shell
# into DIR, or says which of those there differ from what would be written.
set -eu
check=
if [ "$1" = --check ]; then
	check=yes
	shift
fi
dir=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
CGO_ENABLED=0 "${GO:-go}" build -o "$tmp/statvent" .
mkdir "$tmp/new"
"$tmp/statvent" completion bash >"$tmp/new/statvent.bash"
"$tmp/statvent" completion zsh >"$tmp/new/_statvent"
"$tmp/statvent" completion fish >"$tmp/new/statvent.fish"
"$tmp/statvent" completion powershell >"$tmp/new/statvent.ps1"
if [ -z "$check" ]; then
	mkdir -p "$dir"
	cp "$tmp/new/"* "$dir"
elif ! diff -r "$tmp/new" "$dir"; then
	echo "the completions in $dir are not those of the binary: run 'make completions'" >&2
	exit 1
fi
