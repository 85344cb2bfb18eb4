#!/bin/sh
# Runs on the host side of the first level, on the installed root: adds kernel and modules, sets what Debian's cloud
# images set, and takes away what a machine that lives for minutes does not need.
#
# usage: customize.sh ROOT WORK_DIR KERNEL_PACKAGE     (called by mmdebstrap)
set -eu
root=$1
work=$2
kernel=$3

"$work/kernel.sh" "$root" "$work" "$kernel"

# Python checks the age of its compiled files, and the times of all files are changed here: without this, every start
# of cloud-init would compile all of it again.
chroot "$root" /usr/bin/python3 -m compileall -q -f --invalidation-mode unchecked-hash \
	/usr/lib/python3 /usr/lib/python3.[0-9]* >/dev/null || true

# As in Debian's cloud images: the machine's own identity comes with its first boot.
: >"$root/etc/machine-id"
rm -f "$root/etc/hostname" "$root/etc/resolv.conf" "$root"/etc/ssh/ssh_host_* "$root/var/lib/dbus/machine-id"
echo '127.0.0.1 localhost' >"$root/etc/hosts"
echo 'LANG=C.UTF-8' >"$root/etc/default/locale"
# The password of root stays locked: the lab's login asks for none.
chroot "$root" systemctl --quiet enable systemd-networkd.service systemd-networkd-wait-online.service
chroot "$root" systemctl --quiet mask serial-getty@ttyS0.service
# What waits for a day or for a disk that this machine does not have.
chroot "$root" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
	fstrim.timer e2scrub_all.timer e2scrub_reap.service man-db.timer systemd-pstore.service getty@tty1.service

"$work/strip.sh" "$root" "$work"
[ -x "$root/usr/bin/cloud-init" ] || { echo "cloud-init is not installed" >&2; exit 5; }
