#!/bin/bash
# demo.sh DIR: runs three of DIR/worker and DIR/statvent serve in a pipe
# directory of their own until it is interrupted, and shows what they say. The
# port is 7828, or $STATVENT_DEMO_PORT.
set -eu
bin=$1
dir=$(mktemp -d /tmp/statvent-demo.XXXXXX)
export STATVENT_PIPE_DIR="$dir/pipes"
host=127.0.0.1 port=${STATVENT_DEMO_PORT:-7828}
pids=()

stop() {
	trap - EXIT INT TERM
	kill "${pids[@]}" 2>/dev/null || true
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
pids+=("$serve")
for _ in 1 2 3; do
	"$bin/worker" 2>/dev/null &
	pids+=("$!")
done
until (get /-/ready) >/dev/null 2>&1; do
	kill -0 "$serve" || exit 1 # it has said why
	sleep 0.1
done
cat <<END
Three programs publish in $STATVENT_PIPE_DIR, and these URLs add them up:

  http://$host:$port/stats
  http://$host:$port/sources

Look at them from another terminal as well:

  export STATVENT_PIPE_DIR=$STATVENT_PIPE_DIR
  $bin/statvent list
  $bin/statvent watch
  cat $STATVENT_PIPE_DIR/*.stats

Ctrl-C stops everything. Some of the sum, once a second:

END
while kill -0 "$serve" 2>/dev/null; do
	get '/stats?match=worker.jobs&match=worker.bytes'
	sleep 1
done
