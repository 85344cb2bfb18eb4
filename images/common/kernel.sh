#!/bin/sh
# Adds the kernel and its modules to an installed root, without the kernel's maintainer scripts: only the modules of
# the recipe's list and what they need. Leaves the packages in ROOT/tmp/debs.
#
# usage: kernel.sh ROOT WORK_DIR KERNEL_PACKAGE     (called by customize.sh)
set -eu
root=$1
work=$2
kernel=$3

# The kernel's metapackage names the package of the real one; those with only modules come along.
apt_in_root() {
	APT_CONFIG=$MMDEBSTRAP_APT_CONFIG "$@"
}
depends_of() {
	apt_in_root apt-cache depends --no-recommends --no-suggests --important "$1" |
		awk '$1 == "Depends:" && $2 ~ /^linux-(image|modules)-[0-9]/ { print $2 }'
}
images=$(depends_of "$kernel")
for package in $images; do
	images="$images $(depends_of "$package")"
done
mkdir "$root/tmp/debs" "$root/tmp/kernel"
# shellcheck disable=SC2086
(cd "$root/tmp/debs" && apt_in_root apt-get download -qq -o APT::Sandbox::User=root $images)
for deb in "$root"/tmp/debs/linux-*.deb; do
	dpkg-deb -x "$deb" "$root/tmp/kernel"
done

# Uncompressed: busybox reads no zstd, and the image is compressed as a whole.
set -- "$root"/tmp/kernel/boot/vmlinuz-*
version=${1##*/vmlinuz-}
mkdir -p "$root/boot" "$root/usr/lib/modules/$version"
cp "$1" "$root/boot/vmlinuz"
chmod 0644 "$root/boot/vmlinuz"
all=$root/tmp/kernel
[ -d "$all/usr/lib/modules" ] || { mkdir -p "$all/usr/lib" && mv "$all/lib/modules" "$all/usr/lib/modules"; }
rm -rf "$all/lib"
ln -s usr/lib "$all/lib"
chroot "$root" depmod -b /tmp/kernel "$version"
grep -v '^#' "$work/modules" | while read -r when name; do
	chroot "$root" modprobe -d /tmp/kernel -S "$version" --show-depends "$name" 2>/dev/null |
		awk -v when="$when" '$1 == "insmod" { sub(/.*\/lib\/modules\/[^\/]*\//, "", $2); print when, $2 }'
done >"$root/tmp/modules.list"
sort -u -k2,2 "$root/tmp/modules.list" | while read -r _ file; do
	mkdir -p "$root/usr/lib/modules/$version/${file%/*}"
	cp "$all/usr/lib/modules/$version/$file" "$root/usr/lib/modules/$version/$file"
	case $file in
	*.zst) zstd -q -d --rm "$root/usr/lib/modules/$version/$file" ;;
	*.xz) xz -d "$root/usr/lib/modules/$version/$file" ;;
	esac
done
for list in modules.builtin modules.builtin.modinfo modules.order; do
	cp "$all/usr/lib/modules/$version/$list" "$root/usr/lib/modules/$version/$list"
done
chroot "$root" depmod "$version"
find "$root/usr/lib/modules/$version" -maxdepth 1 -name 'modules.*' ! -name '*.bin' ! -name modules.softdep -delete
awk '$1 == "boot" { sub(/\.(zst|xz)$/, "", $2); if (!seen[$2]++) print $2 }' "$root/tmp/modules.list" \
	>"$root/boot/modules"
echo "$version" >"$root/boot/version"
rm -rf "$root/tmp/kernel" "$root/tmp/modules.list"
