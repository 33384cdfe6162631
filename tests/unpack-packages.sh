#!/bin/sh
# unpack-packages.sh DIRECTORY PACKAGE...: unpacks Debian packages that cannot be installed, for they
# conflict with others that the tests need, with the libraries among what they depend on that are not
# installed. Does nothing when the same were unpacked before. Where they cannot be had, it says so and ends well:
# the tests that need them are skipped.
set -eu

to=$1
shift
[ "$(cat "$to/complete" 2>/dev/null)" != "$*" ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "No apt-get: the tests that need $1 are skipped" >&2
	exit 0
fi

installed() {
	dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q '^install ok installed'
}

# What is wanted, and after each package the libraries that it wants. Those that only programs want
# which are not started here are left out.
wanted="$*"
all=
while [ -n "$wanted" ]; do
	next=
	for package in $wanted; do
		case " $all " in *" $package "*) continue ;; esac
		all="$all $package"
		for library in $(apt-cache depends --important "$package" 2>/dev/null |
			sed -n 's/^ |\{0,1\} *Depends: \(lib[^:]*\).*/\1/p'); do
			case $library in libclamav* | libzephyr* | *perl*) continue ;; esac
			installed "$library" || next="$next $library"
		done
	done
	wanted=$next
done

echo "Unpacking:$all"
rm -rf "$to"
mkdir -p "$to/packages"
download() {
	(cd "$to/packages" && apt-get -q download $all) >"$to/log" 2>&1
}
as_root=
[ "$(id -u)" = 0 ] || as_root="sudo -n"
if ! download && ! { $as_root apt-get -q update >/dev/null 2>&1 && download; }; then
	tail -n 5 "$to/log" >&2
	echo "The tests that need $1 are skipped" >&2
	exit 0
fi
for package in "$to"/packages/*.deb; do
	dpkg -x "$package" "$to"
done
rm -rf "$to/packages" "$to/usr/share"
echo "$*" >"$to/complete"
