#!/bin/bash
# Publishes fixed stats as the document of the first statvent says, sharing no
# code with this one: publisher.sh NAME=VALUE ...
#
# Each reader gets a snapshot; then the pipe is removed and made again.
directory=${STATVENT_PIPE_DIR:-/tmp/stats-pipe}
path=$directory/$$.stats
# A shell that waits to open a pipe can't run a trap, so a child does the work.
publish() {
	trap '' PIPE
	while true; do
		mkfifo "$path"
		for stat in "$@"; do
			printf '%s: %s\n' "${stat%=*}" "${stat##*=}"
		done >"$path"
		rm -f "$path"
	done
}
mkdir -p "$directory"
publish "$@" &
child=$!
trap 'kill "$child"; rm -f "$path"; exit 0' TERM
wait "$child"
