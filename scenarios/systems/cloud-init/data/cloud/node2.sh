#!/bin/sh
# A script as user-data: cloud-init runs it once, as root, at the end of the boot.
set -eu
umask 022
mkdir -p /etc/lab
echo "script of {{.hostname}}, seen by $(hostname)" >/etc/lab/script
chown games:games /etc/lab/script
chmod 0604 /etc/lab/script
systemd-run --quiet --unit=lab-node2 --remain-after-exit true
