#!/bin/sh
# setup.sh: installs what `make test` needs and the machine lacks, where it may
# (as root on Debian), and says what will be skipped where it may not.
set -eu
missing=
need() { # need COMMAND PACKAGE
	command -v "$1" >/dev/null || missing="$missing $2"
}
need cc gcc
need python3 python3
need shellcheck shellcheck
need php php-cli
need node nodejs
need prometheus prometheus
need chromium chromium
need zsh zsh
need fish fish
need mandoc mandoc
need tmux tmux
need curl curl
need jq jq
need strace strace
need systemd-socket-activate systemd
/usr/bin/python3 -c 'import prometheus_client' 2>/dev/null || missing="$missing python3-prometheus-client"
if [ -z "$missing" ]; then
	exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	echo "installing$missing"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	# shellcheck disable=SC2086 # a list of words
	apt-get install -qq --no-install-recommends $missing libc6-dev >/dev/null
else
	echo "SKIPPED: the tests that need$missing, which are not installed"
fi
