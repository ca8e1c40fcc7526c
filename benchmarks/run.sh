#!/bin/sh
# run.sh: measures statvent and what it is compared with, and writes RESULTS.md.
#
#   COUNT      how many times each benchmark runs (10), but for those with processes
#   BENCHTIME  how long each runs each time (100ms)
#   RESULTS    the file that is written (RESULTS.md, beside this script)
#   RAW        keeps what the benchmarks print in that file, and adds to what is in it
set -eu
cd "$(dirname "$0")"
COUNT=${COUNT:-10}
BENCHTIME=${BENCHTIME:-100ms}
RESULTS=${RESULTS:-RESULTS.md}
GOMAXPROCS=${GOMAXPROCS:-2}
export GOMAXPROCS

# In the order in which they are reported. PROCESSES interleave what they compare
# themselves, and take as long as they need.
PROCESSES='Collect CollectScaling Answer Publish Serve'
BENCHMARKS='Incr AddFloat IncrByName NewNames Record RecordByName Snapshot IncrDuringSnapshots Parse Memory'

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
raw=${RAW:-$tmp/raw.txt}

go test -c -o "$tmp/bench.test" .
go build -o "$tmp/summarize" ./summarize

# Each pass goes over all libraries. So all of them have their share of the time
# in which the machine was slow.
pass=1
while [ "$pass" -le "$COUNT" ]; do
	echo "pass $pass of $COUNT" >&2
	"$tmp/bench.test" -test.run '^$' -test.bench "^Benchmark($(echo "$BENCHMARKS" | tr ' ' '|'))\$" \
		-test.benchtime "$BENCHTIME" -test.count 1 -test.timeout 0 >>"$raw"
	pass=$((pass + 1))
done
for name in $PROCESSES; do
	echo "$name" >&2
	"$tmp/bench.test" -test.run '^$' -test.bench "^Benchmark$name\$" -test.benchtime 3s -test.timeout 0 >>"$tmp/processes.txt"
done

# tables NAME KEY: the tables of a benchmark, with a column for each value of KEY.
# What benchstat warns of is in the tables: where there are too few samples, there
# is no spread.
tables() {
	go tool benchstat -format csv -filter ".name:$1" -table .name -row .fullname -col "/$2" -ignore .config "$raw" \
		2>"$tmp/warnings" >"$tmp/benchstat.csv" || { cat "$tmp/warnings" >&2; return 1; }
	"$tmp/summarize" <"$tmp/benchstat.csv"
}

# figures NAME: a table of what a benchmark with processes has reported.
figures() {
	printf '\n### %s\n\n| | |\n|---|--:|\n' "$1"
	awk -v name="Benchmark$1" '
		$1 ~ "^" name "(-[0-9]+)?$" || index($1, name "/") == 1 {
			variant = substr($1, length(name) + 2)
			sub(/-?[0-9]+$/, "", variant)
			for (i = 3; i < NF; i += 2) {
				value = $i
				unit = $(i + 1)
				if (unit == "ns/op") continue # the same again, or of both that are compared
				if (sub(/-ns$/, ", ms", unit)) value /= 1e6
				else if (sub(/-ns\//, ", µs/", unit)) value /= 1e3
				printf "| %s %s | %.*f |\n", variant, unit, value < 10 ? 2 : value < 1000 ? 1 : 0, value
			}
		}' "$tmp/processes.txt"
}

# peers: what is measured beside statvent, and which version.
peers() {
	# shellcheck disable=SC2016 # a template of go list's
	go list -test -deps -f '{{with .Module}}{{if not (or .Main .Indirect .Replace)}}{{.Path}} {{.Version}}{{end}}{{end}}' . | sort -u
}

{
	cat <<-EOF
		# Results

		Written by run.sh; what each benchmark does is said above it in the Go files.

		| | |
		|---|---|
		| Date | $(date -u +%Y-%m-%d) |
		| Processor | $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(grep -c '^processor' /proc/cpuinfo) cores |
		| System | $(sed -n 's/^PRETTY_NAME="\(.*\)"$/\1/p' /etc/os-release), $(uname -srm) |
		| Go | $(go env GOVERSION) |
		| Command | \`COUNT=$COUNT BENCHTIME=$BENCHTIME GOMAXPROCS=$GOMAXPROCS ./run.sh\` |

		$(peers | sed 's/^/- /')

		The machine is not ours alone: times differ from hour to hour, and only those of
		one table can be compared. All benchmarks ran $COUNT times, one after the other and
		then all again. Each figure is the median, ± half of its 95 % confidence interval.
		The lines in italics are the ratio of our median to those of the others: below 1,
		less time or memory is ours.

		atomic, cas-loop, cow-map, xsync-map, mutex-ring and strconv-loop are no
		libraries: they are the least that does the same work, without what makes it of use.
	EOF
	for name in $BENCHMARKS; do
		case $name in
		IncrDuringSnapshots) tables "$name" beside ;;
		*) tables "$name" lib ;;
		esac
	done
	cat <<-EOF

		## Collecting and serving

		Medians of at least ten pairs, one of each side in turn, in one run. A ratio is the
		median of those of the pairs.
	EOF
	for name in $PROCESSES; do
		figures "$name"
	done
} >"$tmp/results.md"
cp "$tmp/results.md" "$RESULTS"
