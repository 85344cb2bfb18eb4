#!/bin/bash
# A script as user-data, of {{.hostname}}: run once, as root, by a unit that coreos-cloudinit makes up.
mkdir -p /opt/lab
# Its name is written down when it has been started.
until [ -s /var/lib/coreos-cloudinit/scripts/unit-name ]; do sleep 0.1; done
{
  echo "address $private_ipv4, and none for the public one: '$public_ipv4'"
  echo 'escaped it is \$private_ipv4'
  id -un
  cat /etc/environment
  sed 's/coreos-cloudinit-.*/and it has a unit/' /var/lib/coreos-cloudinit/scripts/unit-name
  echo
} >/opt/lab/script
echo {{.hostname}} >/proc/sys/kernel/hostname
