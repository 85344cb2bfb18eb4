#!/bin/sh
# Runs on the host side of the first level, on the installed root: adds kernel, modules,
# Ignition and OpenSSH, then takes away what a machine that lives for minutes does not need: what stays is systemd, a
# shell and the programs that checks are written with.
#
# usage: customize.sh ROOT WORK_DIR KERNEL_PACKAGE     (called by mmdebstrap)
set -eu
root=$1
work=$2
kernel=$3

"$work/kernel.sh" "$root" "$work" "$kernel"

mkdir "$root/tmp/ignition"
(cd "$root/tmp/debs" && APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get download -qq -o APT::Sandbox::User=root \
	ignition openssh-server openssh-client gdisk e2fsprogs dosfstools)

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

rm -rf "$root/tmp/ignition" "$root/tmp/openssh" "$root/tmp/disks"
"$work/strip.sh" "$root" "$work"

# What is taken away must be nobody's library: the loader fails where one is missing.
for program in usr/sbin/sshd usr/bin/ssh-keygen usr/bin/sudo usr/lib/systemd/systemd usr/sbin/sgdisk \
	usr/sbin/mke2fs usr/sbin/mkfs.fat; do
	chroot "$root" /lib64/ld-linux-x86-64.so.2 --list "/$program" >/dev/null
done
