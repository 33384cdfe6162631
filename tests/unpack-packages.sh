#!/bin/sh
# unpack-packages.sh DIRECTORY PACKAGE...: unpacks Debian packages that cannot be installed, for they
# conflict with others that the tests need, and the libraries that they want and that are not
# installed. Does nothing when they are there. Where they cannot be had, it says so and ends well:
# the tests that need them are skipped.
set -eu

to=$1
shift
[ ! -e "$to/complete" ] || exit 0

installed() {
	dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q '^install ok installed'
}

# The libraries that a package depends on, but for those that only programs want which no test
# starts.
libraries() {
	apt-cache depends --important "$1" 2>/dev/null | sed -n 's/^[ |]*Depends: \(lib[^:]*\).*/\1/p' |
		grep -v -e '^libclamav' -e '^libzephyr' -e 'perl'
}

gather() {
	wanted="$*" all=
	while [ -n "$wanted" ]; do
		next=
		for package in $wanted; do
			case " $all " in *" $package "*) continue ;; esac
			all="$all $package"
			for library in $(libraries "$package"); do
				installed "$library" || next="$next $library"
			done
		done
		wanted=$next
	done
}

download() {
	gather "$@"
	apt-cache show "$1" >/dev/null 2>&1 &&
		(cd "$to/packages" && apt-get -q download $all) >"$to/log" 2>&1
}

update() {
	as_root=
	[ "$(id -u)" = 0 ] || as_root="sudo -n"
	$as_root apt-get -q update >"$to/log" 2>&1
}

rm -rf "$to"
mkdir -p "$to/packages"
if ! download "$@" && ! { update && download "$@"; }; then
	tail -n 5 "$to/log" >&2
	echo "$1 cannot be downloaded: the tests that need it are skipped" >&2
	exit 0
fi
echo "Unpacking:$all"
for package in "$to"/packages/*.deb; do
	dpkg -x "$package" "$to"
done
rm -rf "$to/packages" "$to/usr/share"
touch "$to/complete"
