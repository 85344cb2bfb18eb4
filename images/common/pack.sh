#!/bin/sh
# Last step of every built image: adds busybox and the modules that the initramfs loads, packs it, and puts kernel and
# initrd under the names that every image of the lab is served by.
#
# usage: pack.sh ROOT BUSYBOX INITRAMFS OUT_DIR     (ROOT has boot/ and usr/lib/modules/)
set -eu
root=$1
busybox=$2
initramfs=$3
out=$4

cd "$initramfs"
mkdir -p bin dev proc sys run sysroot etc modules
cp "$busybox" bin/busybox
kernel_version=$(cat "$root/boot/version")
while read -r module; do
	cp "$root/usr/lib/modules/$kernel_version/$module" modules/
	echo "${module##*/}"
done <"$root/boot/modules" >modules/list
find . -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
find . | sort | cpio --quiet -o -H newc -R 0:0 --reproducible |
	gzip -n -1 >"$out/coreos_production_pxe_image.cpio.gz"
install -m 0644 "$root/boot/vmlinuz" "$out/coreos_production_pxe.vmlinuz"
