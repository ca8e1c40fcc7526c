#!/bin/sh
# dist.sh [DIR [OS/ARCH ...]]: builds what is released into DIR (dist): an archive for each
# system, a Debian package for each Linux, and their checksums.
#
# The same sources give the same bytes, wherever and whenever they are built with the same
# Go and gzip. What the last commit says of VERSION, REVISION and SOURCE_DATE_EPOCH (when it
# was made, in Unix time), the environment has to say where there is no repository.
set -eu
dist=${1:-dist}
[ $# = 0 ] || shift
[ $# != 0 ] || set -- linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 freebsd/amd64 freebsd/arm64

if ! tar --version 2>/dev/null | grep -q GNU; then
	echo "dist.sh: this takes the tar, gzip and coreutils of GNU, as Linux has them" >&2
	exit 1
fi
export LC_ALL=C
umask 022

described() { # the last commit, as git and Go name it
	{
		git describe --tags --match 'v[0-9]*' --abbrev=12 2>/dev/null ||
			TZ=UTC git log -1 --date=format-local:%Y%m%d%H%M%S --abbrev=12 --format=v0.0.0-%cd-%h
	} | tr -d '\n'
	[ -z "$(git status --porcelain)" ] || printf +dirty
}

if [ -e .git ]; then
	VERSION=${VERSION:-$(described)}
	REVISION=${REVISION:-$(git rev-parse HEAD)}
	SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
fi
: "${VERSION:?is to be set, since this is no repository}"
: "${SOURCE_DATE_EPOCH:?is to be set, since this is no repository}"
export SOURCE_DATE_EPOCH
number=${VERSION#v}
stamp=github.com/statvent/statvent/cmd
stamps="-X $stamp.stamped=$VERSION -X $stamp.revision=${REVISION-} -X $stamp.revised=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)"

mkdir -p "$dist"
dist=$(cd "$dist" && pwd)
rm -f "$dist"/statvent[-_]* "$dist/SHA256SUMS"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# nfpm is in a module of its own, so that what checks the code doesn't need it.
nfpm=$work/nfpm
GOOS='' GOARCH='' "${GO:-go}" build -modfile=tools/nfpm/go.mod -o "$nfpm" github.com/goreleaser/nfpm/v2/cmd/nfpm || nfpm=

copy() { # copy DIR PATH...: into DIR, for all to read, whatever the modes here
	to=$1
	shift
	mkdir -p "$to"
	cp -R "$@" "$to"
	find "$to" -name __pycache__ -prune -exec rm -r {} +
	find "$to" -type f -exec chmod 644 {} +
}

docs() { # docs DIR: what there is to read, and what that refers to
	copy "$1" README.md CHANGELOG.md SECURITY.md LICENSE docs examples configs
	copy "$1/benchmarks" benchmarks/RESULTS.md
}

settle() { # settle DIR: all in it is as old as the sources; directories are as usual
	find "$1" -type d -exec chmod 00755 {} +
	find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

archive() { # archive NAME: NAME.tar.gz of $work/NAME
	settle "$work/$1"
	tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --format=ustar -cf "$work/tar" "$1"
	gzip -9n <"$work/tar" >"$dist/$1.tar.gz"
}

# A hyphen has a meaning in a Debian version; a tilde comes before the release.
deb_version=$(echo "$number" | sed -E 's/-(alpha|beta|rc)/~\1/; s/-/+/g')

package() { # package ARCH BINARY
	stage=$work/deb-$1
	doc=$stage/root/usr/share/doc/statvent
	docs "$doc"
	mv "$doc/LICENSE" "$doc/copyright"
	gzip -9n "$doc/CHANGELOG.md"
	{
		printf 'statvent (%s) unstable; urgency=medium\n\n' "$deb_version"
		printf '  * What is new: CHANGELOG.md.gz.\n\n'
		printf ' -- The statvent project <statvent@users.noreply.github.com>  %s\n' \
			"$(date -u -R -d "@$SOURCE_DATE_EPOCH")"
	} | gzip -9n >"$doc/changelog.gz"
	put() { install -D -m "$1" "$2" "$stage/root/$3"; } # put MODE FILE PATH
	put 755 "$2" usr/bin/statvent
	put 644 configs/statvent.service usr/lib/systemd/system/statvent.service
	put 644 configs/statvent.socket usr/lib/systemd/system/statvent.socket
	put 644 configs/statvent.sysusers.conf usr/lib/sysusers.d/statvent.conf
	put 644 configs/statvent.tmpfiles.conf usr/lib/tmpfiles.d/statvent.conf
	put 644 completions/statvent.bash usr/share/bash-completion/completions/statvent
	put 644 completions/_statvent usr/share/zsh/vendor-completions/_statvent
	put 644 completions/statvent.fish usr/share/fish/vendor_completions.d/statvent.fish
	put 644 packaging/lintian-overrides usr/share/lintian/overrides/statvent
	copy "$stage/root/usr/share/man/man1" man/*.1
	gzip -9n "$stage"/root/usr/share/man/man1/*
	cp configs/statvent.yaml packaging/nfpm.yaml "$stage"
	install -D -t "$stage/scripts" packaging/postinst packaging/prerm packaging/postrm
	settle "$stage"
	(cd "$stage" && DEB_ARCH=$1 DEB_VERSION=$deb_version "$nfpm" package --packager deb \
		--target "$dist/statvent_${deb_version}_$1.deb" >/dev/null)
}

for target; do
	os=${target%/*} arch=${target#*/}
	name=statvent-$number-$os-$arch
	echo "build $name"
	docs "$work/$name"
	copy "$work/$name" completions man
	GOOS=$os GOARCH=$arch GOAMD64=v1 GOARM64=v8.0 CGO_ENABLED=0 "${GO:-go}" build -trimpath -buildvcs=false \
		-tags nethttpomithttp2 -ldflags "-s -w $stamps" -o "$work/$name/statvent" .
	archive "$name"
	if [ "$os" = linux ] && [ -n "$nfpm" ]; then
		package "$arch" "$work/$name/statvent"
	fi
done
[ -n "$nfpm" ] || echo "SKIPPED: the Debian packages, for want of nfpm" >&2
cd "$dist"
sha256sum statvent[-_]* >SHA256SUMS
