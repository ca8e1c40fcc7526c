#!/bin/sh
# screenshot.sh FILE: writes a picture of the live page as it is when some programs
# have run for five minutes, or for $STATVENT_SCREENSHOT_HISTORY.
set -eu
mkdir -p "$(dirname "$1")"
file=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
fonts=$(mktemp)
trap 'rm -f "$fonts"' EXIT
# The page is in the font of the system: of a desktop's, if one is installed.
cat >"$fonts" <<END
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <match target="pattern">
    <edit name="family" mode="prepend" binding="strong">
      <string>Inter</string><string>Cantarell</string><string>Noto Sans</string><string>Roboto</string>
    </edit>
  </match>
</fontconfig>
END
FONTCONFIG_FILE=$fonts STATVENT_SCREENSHOT=$file \
	"${GO:-go}" test -count=1 -timeout 30m -run '^TestScreenshot$' ./e2e
