#!/usr/bin/env bash
# Publishes stats in the plain format: docs/languages.md. As a program it takes lines from
# stdin, such as `count 2 app.requests` and `set 0.5 app.load`, until they end.
set -euo pipefail
declare -A stats
count() { # count BY NAME: integers, as bash has no other numbers
	local before=${stats[$2]-0}
	[[ $1 =~ ^-?[0-9]+$ ]] && put $((before + $1)) "$2"
}

put() { # put VALUE NAME
	local name
	stats[$2]=$1
	for name in "${!stats[@]}"; do
		printf '%s: %s\n' "${name//[$'\r\n']/ }" "${stats[$name]}"
	done >"$work/next"
	mv "$work/next" "$work/stats" # a reader gets the one or the other
}

start() {
	local dir=${STATVENT_PIPE_DIR:-/tmp/stats-pipe}
	mkdir -m 1777 "$dir" 2>/dev/null || [ -d "$dir" ]
	pipe=$dir/$$.stats work=$(mktemp -d)
	temporary=$dir/.tmp-$EUID-$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
	: >"$work/stats"
	put_fifo
	serve & # a shell that waits to open a pipe can do nothing else
	server=$!
	trap close EXIT
	trap exit HUP INT TERM
}

put_fifo() { mkfifo -m 644 "$temporary" && mv "$temporary" "$pipe"; }

serve() {
	while wanted; do
		{ # the redirection waits for a reader
			wanted || break
			put_fifo # for the next one, before anything is written
			cat "$work/stats" 2>/dev/null & # if the reader leaves or stalls, only this does
		} >"$pipe"
	done
	rm -rf "$pipe" "$work"
}

# wanted: until close, or the end of a script that is killed, whose pid $$ is here, too.
wanted() { [ -e "$work/stats" ] && [ -p "$pipe" ] && kill -0 $$ 2>/dev/null; }

close() {
	rm -f "$work/stats"
	[ -p "$pipe" ] || kill "$server" 2>/dev/null || true
	wait "$server" <>"$pipe" || true # as long as the pipe has a reader, serve doesn't wait
	rm -rf "$pipe" "$temporary" "$work"
}

start
while read -r verb value name; do
	case $verb in count) count "$value" "$name" ;; *) put "$value" "$name" ;; esac
done
