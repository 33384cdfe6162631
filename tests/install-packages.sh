#!/bin/sh
# Installs those of the named Debian packages that are missing, and says so. Needs root only when
# something is missing. Servers do not start by themselves.
set -eu

missing=
for package in "$@"; do
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' ||
		missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "Please install what Debian calls:$missing" >&2
	exit 1
fi

as_root=
if [ "$(id -u)" != 0 ]; then
	as_root=sudo
	command -v sudo >/dev/null || {
		echo "Please have root run: apt-get install$missing" >&2
		exit 1
	}
fi

echo "Installing:$missing"
# A policy that says no keeps the mail servers of the tests from being started as services.
policy=/usr/sbin/policy-rc.d
made=
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
	$as_root chmod 755 "$policy"
	made=1
fi
status=0
log=$(mktemp)
{ $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update &&
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $missing; } \
	>"$log" 2>&1 </dev/null || status=$?
[ "$status" = 0 ] || tail -n 30 "$log" >&2
rm -f "$log"
[ -z "$made" ] || $as_root rm -f "$policy"
exit "$status"
