#!/bin/sh
# screenshot.sh FILE: writes a picture of the live page as it is when some programs
# have run for five minutes, or for $STATVENT_SCREENSHOT_HISTORY.
set -eu
mkdir -p "$(dirname "$1")"
file=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
STATVENT_SCREENSHOT=$file go test -count=1 -timeout 30m -run '^TestScreenshot$' ./e2e
