#!/bin/bash
# demo.sh DIR: runs three of DIR/worker and DIR/statvent serve in a pipe
# directory of their own until it is interrupted, kills and replaces a worker
# every few seconds, and shows that what they have counted goes on. The port is
# 7828, or $STATVENT_DEMO_PORT.
set -eu
bin=$1
dir=$(mktemp -d /tmp/statvent-demo.XXXXXX)
export STATVENT_PIPE_DIR="$dir/pipes" STATVENT_STATE_DIR="$dir/state"
host=127.0.0.1 port=${STATVENT_DEMO_PORT:-7828}
workers=()

stop() {
	trap - EXIT INT TERM
	kill "${workers[@]}" "${serve:-}" 2>/dev/null || true
	wait
	rm -rf "$dir"
}
trap stop EXIT
trap 'stop; exit 0' INT TERM

# get PATH: what the server answers.
get() {
	exec 3<>"/dev/tcp/$host/$port" || return
	printf 'GET %s HTTP/1.0\r\n\r\n' "$1" >&3
	sed '1,/^\r$/d' <&3
	exec 3>&-
}

"$bin/statvent" serve --listen "$host:$port" --log-level warn &
serve=$!
for i in 0 1 2; do
	"$bin/worker" 2>/dev/null &
	workers[i]=$!
done
until (get /-/ready) >/dev/null 2>&1; do
	kill -0 "$serve" || exit 1 # it has said why
	sleep 0.1
done
cat <<END
Three programs publish in $STATVENT_PIPE_DIR, and these URLs bring them together:

  http://$host:$port/
  http://$host:$port/stats
  http://$host:$port/sources

Look at them from another terminal as well:

  export STATVENT_PIPE_DIR=$STATVENT_PIPE_DIR
  $bin/statvent list
  $bin/statvent watch
  cat $STATVENT_PIPE_DIR/*.stats

Ctrl-C stops everything. Some of the numbers, once a second:

END
# replace I SIGNAL: ends a worker and starts another in its place.
replace() {
	kill "-$2" "${workers[$1]}"
	{ wait "${workers[$1]}" || true; } 2>/dev/null # the shell says who was killed
	"$bin/worker" 2>/dev/null &
	echo "  worker ${workers[$1]} got SIG$2, $! takes its place"
	workers[$1]=$!
}
for ((second = 1; ; second++)); do
	kill -0 "$serve" 2>/dev/null || exit 1
	get '/stats?match=worker.jobs&match=worker.bytes&match=*.median'
	sleep 1
	case $((second % 6)) in
	3) replace $((second / 3 % 3)) TERM ;;
	0) replace $((second / 3 % 3)) KILL ;;
	esac
done
