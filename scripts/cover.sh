#!/bin/sh
# cover.sh: how much of pkg/ its tests run, with the programs that they start, and below
# the places that nothing runs.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir -m 777 "$work/programs"
export GOCOVERDIR="$work/programs" # of programs that other users run as well
for package in format pipes statvent; do
	"${GO:-go}" test -c -coverpkg=./pkg/... -o "$work/$package.test" "./pkg/$package"
	(cd "pkg/$package" && "$work/$package.test" -test.coverprofile="$work/$package.out")
done
"${GO:-go}" tool covdata textfmt -i="$GOCOVERDIR" -o="$work/programs.out"
awk '
	/^mode:/ { next }
	{ statements[$1] = $2; if ($3 > 0) ran[$1] = 1 }
	END {
		for (place in statements) {
			all += statements[place]
			if (place in ran) some += statements[place]
			else print place
		}
		printf "%.1f %% of %d statements\n", 100 * some / all, all
	}' "$work"/*.out | sed 's#^[^:]*/pkg/#pkg/#' | sort -V
