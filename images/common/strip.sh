#!/bin/sh
# Lists the packages of an installed root, then takes away what the recipe's list (`strip`) names: patterns below the
# root, which a machine that lives for minutes does not need.
#
# usage: strip.sh ROOT WORK_DIR     (called by customize.sh)
set -eu
root=$1
work=$2

mkdir -p "$root/usr/share/lab-image"
{
	dpkg-query --admindir="$root/var/lib/dpkg" -W -f '${Package} ${Version}\n'
	for deb in "$root"/tmp/debs/*.deb; do
		dpkg-deb -W --showformat='${Package} ${Version}\n' "$deb"
	done
} | sort -u >"$root/usr/share/lab-image/packages.txt"

cd "$root"
# mmdebstrap's own settings for apt are in tmp as well: they go with its own clean-up.
rm -rf tmp/debs
grep -v '^#' "$work/strip" | while read -r pattern; do
	# shellcheck disable=SC2086
	rm -rf $pattern
done
find usr/share/terminfo usr/lib/terminfo lib/terminfo -type f 2>/dev/null |
	grep -v -E '/(dumb|linux|vt100|vt102|vt220|xterm|xterm-256color|screen|ansi)$' | xargs -r rm -f
