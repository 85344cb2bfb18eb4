#!/bin/sh
# Runs on the host side of the first level, on the installed root: adds kernel, modules and
# Ignition, then takes away what a machine that lives for minutes does not need.
#
# usage: customize.sh ROOT WORK_DIR KERNEL_PACKAGE     (called by mmdebstrap)
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
mkdir "$root/tmp/debs" "$root/tmp/kernel" "$root/tmp/ignition"
# shellcheck disable=SC2086
(cd "$root/tmp/debs" && apt_in_root apt-get download -qq -o APT::Sandbox::User=root \
	$images ignition openssh-server openssh-client gdisk e2fsprogs dosfstools)

for deb in "$root"/tmp/debs/linux-*.deb; do
	dpkg-deb -x "$deb" "$root/tmp/kernel"
done
mkdir -p "$root/usr/share/stand-in"
dpkg-deb -x "$root"/tmp/debs/ignition_*.deb "$root/tmp/ignition"
mkdir -p "$root/usr/lib/ignition"
cp "$root/tmp/ignition/usr/lib/dracut/modules.d/30ignition/ignition" "$root/usr/lib/ignition/ignition"
# The newest version of configs that it speaks: what it asks servers for.
grep -ao 'application/vnd.coreos.ignition+json;version=[0-9.]*' "$root/usr/lib/ignition/ignition" |
	head -n 1 | sed 's/.*=//' >"$root/usr/share/stand-in/ignition-speaks"
[ -s "$root/usr/share/stand-in/ignition-speaks" ] || { echo "Ignition does not say what it speaks" >&2; exit 5; }

# Of OpenSSH the server and the maker of its keys.
mkdir "$root/tmp/openssh"
for deb in "$root"/tmp/debs/openssh-*.deb; do
	dpkg-deb -x "$deb" "$root/tmp/openssh"
done
cp "$root/tmp/openssh/usr/sbin/sshd" "$root/usr/sbin/"
cp "$root/tmp/openssh/usr/bin/ssh-keygen" "$root/usr/bin/"
mkdir -p "$root/usr/lib/openssh"
for part in "$root"/tmp/openssh/usr/lib/openssh/sshd-*; do
	[ ! -x "$part" ] || cp "$part" "$root/usr/lib/openssh/"
done

# What Ignition calls to partition and to format.
mkdir "$root/tmp/disks"
for deb in "$root"/tmp/debs/gdisk_*.deb "$root"/tmp/debs/e2fsprogs_*.deb "$root"/tmp/debs/dosfstools_*.deb; do
	dpkg-deb -x "$deb" "$root/tmp/disks"
done
for program in sgdisk mke2fs mkfs.fat; do
	find "$root/tmp/disks" -type f -name "$program" -exec cp {} "$root/usr/sbin/" \;
done
ln -sf mke2fs "$root/usr/sbin/mkfs.ext4"
cp "$root/tmp/disks/etc/mke2fs.conf" "$root/etc/"

{
	dpkg-query --admindir="$root/var/lib/dpkg" -W -f '${Package} ${Version}\n'
	for deb in "$root"/tmp/debs/*.deb; do
		dpkg-deb -W --showformat='${Package} ${Version}\n' "$deb"
	done
} | sort -u >"$root/usr/share/stand-in/packages.txt"

# Modules: only those listed and what they need, uncompressed (busybox reads no zstd, and the
# image is compressed as a whole).
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

# What a machine that lives for minutes does not need. What stays is systemd, a shell
# and the programs that checks are written with.
cd "$root"
# mmdebstrap's own settings for apt are in tmp as well: they go with its own clean-up.
rm -rf tmp/debs tmp/kernel tmp/ignition tmp/openssh tmp/disks tmp/modules.list
grep -v '^#' "$work/strip" | while read -r pattern; do
	# shellcheck disable=SC2086
	rm -rf $pattern
done
find usr/share/terminfo usr/lib/terminfo lib/terminfo -type f 2>/dev/null |
	grep -v -E '/(dumb|linux|vt100|vt102|vt220|xterm|xterm-256color|screen|ansi)$' | xargs -r rm -f

# What is taken away must be nobody's library: the loader fails where one is missing.
for program in usr/sbin/sshd usr/bin/ssh-keygen usr/bin/sudo usr/lib/systemd/systemd usr/sbin/sgdisk \
	usr/sbin/mke2fs usr/sbin/mkfs.fat; do
	chroot "$root" /lib64/ld-linux-x86-64.so.2 --list "/$program" >/dev/null
done
