#!/bin/sh
# Second level of the cloud-init image: first level's root + our few files → kernel and initrd. Needs neither the
# network nor any privilege: owners and modes go from one archive into the other.
#
# usage: assemble.sh RECIPE_DIR BASE_TAR VERSION OUT_DIR
set -eu
recipe=$1
base=$2
version=$3
out=$4

work=$(mktemp -d "${TMPDIR:-/tmp}/cloud-init-assemble.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
umask 022
export LC_ALL=C SOURCE_DATE_EPOCH=1451606400

own=$work/own
cp -R "$recipe/rootfs" "$own"
mkdir -p "$own/usr/share/lab-image"
echo "$version" >"$own/usr/share/lab-image/version"
find "$own/usr/lib/lab" -type f -exec chmod 0755 {} +
mkdir -p "$own/etc/systemd/system/graphical.target.wants"
ln -s /usr/lib/systemd/system/lab-login.service "$own/etc/systemd/system/graphical.target.wants/"
# Files alone: the folders are in the first level's archive.
(cd "$own" && find . ! -type d | sort) >"$work/files"
tar -cf "$work/own.tar" -C "$own" --no-recursion --files-from="$work/files" \
	--owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH"

mkdir "$work/initramfs" "$work/root"
cp "$base" "$work/all.tar"
tar --concatenate --file="$work/all.tar" "$work/own.tar"
# zstd at its default level, 15: sqfstar 4.5 takes the level for the name of its file.
sqfstar -quiet -no-progress -no-xattrs -comp zstd -b 256K \
	"$work/initramfs/root.squashfs" boot usr/bin/busybox <"$work/all.tar"
tar -xf "$base" -C "$work/root" ./boot ./usr/lib/modules ./usr/bin/busybox
install -m 0755 "$recipe/initramfs/init" "$work/initramfs/init"
sh "$recipe/pack.sh" "$work/root" "$work/root/usr/bin/busybox" "$work/initramfs" "$out"
