#!/usr/bin/env bash
# Installs missing requirements of the lab; sourced by ci/lab and ci/test.
#
# It reports what it installs and why, and uses sudo for nothing else. If nothing is missing, it does nothing and needs no
# network.
set -euo pipefail

PROJECT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Build folder.
TARGET=${CARGO_TARGET_DIR:-$PROJECT/target}
OLDEST_CARGO=1.89

# package | purpose
NEEDED_PACKAGES=(
  "gcc|linking"
  "libc6-dev|linking"
  "pkg-config|finding libvirt"
  "libvirt-dev|building the virt crate"
  "libpcap-dev|capturing packets"
  "libvirt-daemon|libvirtd, started privately in each cell"
  "libvirt-daemon-driver-qemu|libvirt's QEMU driver"
  "qemu-system-x86|the machines"
  "seabios|BIOS firmware"
  "ovmf|UEFI firmware"
  "ipxe-qemu|the network card's boot ROM"
  "ipxe|undionly.kpxe and ipxe.efi, served by TFTP"
  "pxelinux|pxelinux.0, served by TFTP"
  "syslinux-common|ldlinux.c32, served by TFTP"
  "shim-signed|shim, for machines with Secure Boot"
  "grub-efi-amd64-signed|GRUB, for machines with Secure Boot"
  "dnsmasq-base|the DHCP server of libvirt's networks"
  "iptables|used by libvirt's networks"
  "iproute2|the cell's network"
  "uidmap|cells of ordinary users"
  "mmdebstrap|building the stand-in image"
  "squashfs-tools|building the stand-in image"
  "cpio|building the stand-in image"
  "gpgv|checking signatures of images"
)
# Clients and checkers used by the tests; only ci/test installs them.
TEST_PACKAGES=(
  "tftp-hpa|a TFTP client of the tests"
  "atftp|a TFTP client of the tests"
  "curl|a TFTP client of the tests"
  "busybox|a TFTP client of the tests"
  "tcpdump|reading captures in the tests"
  "libvirt-clients|virsh, inside a persistent lab"
  "openssh-client|lab ssh, and labs on another host"
  "dropbear-bin|the SSH server of the other host in the tests"
  "gnupg|making and verifying signatures in the tests"
  "openssl|certificates of the tests"
  "systemd|systemd-analyze, which checks the service unit"
  "chromium|testing the page of a run in a browser"
  "libxml2-utils|xmllint, which checks the JUnit report"
  "wireshark-common|capinfos, which reads our captures in the tests"
  "python3-jsonschema|comparing the artifacts of runs with their schemas"
  "python3-venv|checkers of the CI examples, from PyPI"
  "kea-dhcp4-server|the DHCP server of scenarios/stacks/kea-stack"
  "tftpd-hpa|the TFTP server of scenarios/stacks/kea-stack"
  "nginx-light|the web server of scenarios/stacks/kea-stack"
  "sbsigntool|signing boot programs with keys of the run's own"
  "isc-dhcp-server|the DHCP server of scenarios/stacks/isc-atftpd"
  "isc-dhcp-relay|a DHCP relay of the tests"
)
# Programs of the test scenarios whose packages conflict with those above: unpacked into the build folder, not installed.
UNPACKED_PACKAGES=(
  "atftpd|the TFTP server of scenarios/stacks/isc-atftpd; its package conflicts with tftpd-hpa"
)
# Only in newer releases, which split libvirt into more packages.
WHERE_AVAILABLE=("libvirt-daemon-driver-network|libvirt's network driver")

say() { printf '%s\n' "$*" >&2; }
die() { say "ci: $*"; exit 69; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "root privileges or sudo required: $*"
  fi
}

is_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Seconds to wait for other package installations, which take minutes on new cloud machines (unattended-upgrades).
APT_LOCK_SECONDS=600
APT_LOCKS=(/var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock /var/cache/apt/archives/lock)

# Prints the holder of one of apt's locks, by /proc/locks (proc_locks(5)); nothing if all are free.
apt_lock_holder() {
  local lock inode holder
  for lock in "${APT_LOCKS[@]}"; do
    [ -e "$lock" ] || continue
    inode=$(stat -c %i "$lock")
    holder=$(awk -v inode="$inode" '$2 != "->" && $6 ~ ":" inode "$" {print $5; exit}' /proc/locks)
    [ -z "$holder" ] || { echo "$lock, held by process $holder ($(ps -o comm= -p "$holder" 2>/dev/null || echo unknown))"; return; }
  done
}

# apt-get that waits for apt's locks, and reports the wait. `update` supports the option since apt 2.7; for older versions
# this function waits.
apt_get() {
  local holder waited=0
  holder=$(apt_lock_holder)
  if [ -n "$holder" ]; then
    say "Waiting for apt's lock $holder; at most $APT_LOCK_SECONDS s"
    while [ "$waited" -lt "$APT_LOCK_SECONDS" ] && [ -n "$(apt_lock_holder)" ]; do
      sleep 2
      waited=$((waited + 2))
    done
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -o "DPkg::Lock::Timeout=$APT_LOCK_SECONDS" "$@"
}

candidate_of() { apt-cache policy "$1" | awk '$1 == "Candidate:" && $2 != "(none)" {print $2}'; }

install_packages() {
  command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
    die "unsupported distribution (only Debian and Ubuntu are supported); install the equivalents of: ${NEEDED_PACKAGES[*]%%|*}"
  local missing=() entry package optional=0
  for entry in "${NEEDED_PACKAGES[@]}"; do
    package=${entry%%|*}
    is_installed "$package" || missing+=("$entry")
  done
  # The network driver is detected by its file, because only newer releases have a separate package.
  compgen -G '/usr/lib/*/libvirt/connection-driver/libvirt_driver_network.so' >/dev/null || optional=1
  [ ${#missing[@]} -gt 0 ] || [ $optional = 1 ] || return 0

  say "Installing Debian packages (with apt-get${SUDO_USER:+ as root}):"
  for entry in "${missing[@]}"; do say "  ${entry%%|*} (${entry#*|})"; done
  apt_get update -q >&2
  local names=("${missing[@]%%|*}")
  if [ $optional = 1 ]; then
    for entry in "${WHERE_AVAILABLE[@]}"; do
      package=${entry%%|*}
      if [ -n "$(candidate_of "$package")" ] && ! is_installed "$package"; then
        say "  $package (${entry#*|})"; names+=("$package")
      fi
    done
  fi
  # qemu-utils from a newer release (backports) conflicts with this release's QEMU. apt would remove it, so the release's
  # own version is installed instead.
  local options=() theirs ours
  if is_installed qemu-utils; then
    theirs=$(dpkg-query -W -f '${Version}' qemu-utils)
    ours=$(candidate_of qemu-system-x86)
    if [ -n "$ours" ] && dpkg --compare-versions "$theirs" gt "$ours"; then
      ours=$(apt-cache madison qemu-utils | awk '{print $3}' | while read -r version; do
        dpkg --compare-versions "$version" le "$ours" && echo "$version" && break; done)
      if [ -n "$ours" ]; then
        say "  qemu-utils=$ours (instead of $theirs, which conflicts with this release's QEMU)"
        names+=("qemu-utils=$ours"); options+=(--allow-downgrades)
      fi
    fi
  fi
  local written=0
  # Servers of the test scenarios run in cells only: their packages must not start them on this host (invoke-rc.d(8)).
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    written=1
    printf '#!/bin/sh\nexit 101\n' | as_root tee /usr/sbin/policy-rc.d >/dev/null
    as_root chmod 0755 /usr/sbin/policy-rc.d
  fi
  local result=0
  apt_get install -q -y --no-install-recommends \
    "${options[@]}" "${names[@]}" >&2 || result=$?
  [ $written = 0 ] || as_root rm -f /usr/sbin/policy-rc.d
  return $result
}

unpack_packages() {
  local entry package folder
  for entry in "${UNPACKED_PACKAGES[@]}"; do
    package=${entry%%|*}
    folder=$TARGET/unpacked/$package
    if [ ! -d "$folder" ]; then
      say "Unpacking the Debian package $package (${entry#*|})"
      rm -rf "$folder.new"
      mkdir -p "$folder.new"
      # The lists may be missing if everything else was installed.
      (cd "$folder.new" && apt-get download -q "$package" >&2 || { apt_get update -q && apt-get download -q "$package"; } >&2)
      dpkg-deb -x "$folder.new/$package"_*.deb "$folder.new"
      mv "$folder.new" "$folder"
    fi
    PATH=$PATH:$folder/usr/sbin
  done
}

install_rust() {
  if ! command -v cargo >/dev/null && [ -x "$HOME/.cargo/bin/cargo" ]; then
    PATH="$HOME/.cargo/bin:$PATH"
  fi
  if ! command -v cargo >/dev/null; then
    apt-get --version >/dev/null && [ -n "$(candidate_of rustup)" ] ||
      die "cargo not found; install Rust $OLDEST_CARGO or newer with rustup (https://rustup.rs)"
    say "Installing rustup (cargo not found)"
    apt_get install -q -y rustup >&2
    rustup toolchain install stable --profile minimal --component rustfmt --component clippy >&2
  fi
  local version
  version=$(cargo --version | awk '{print $2}')
  [ "$(printf '%s\n' "$OLDEST_CARGO" "$version" | sort -V | head -n 1)" = "$OLDEST_CARGO" ] ||
    die "cargo $version is too old; this project needs $OLDEST_CARGO or newer (rustup update)"
}

# Requirements of an ordinary user's cells. Distributions meet them; minimal containers may not.
prepare_host() {
  if [ ! -c /dev/net/tun ]; then
    say "Creating /dev/net/tun (machines' network cards need it)"
    as_root mkdir -p /dev/net
    as_root mknod -m 0666 /dev/net/tun c 10 200
  elif ! { : <>/dev/net/tun; } 2>/dev/null; then
    say "Opening /dev/net/tun to all users, as distributions do (machines' network cards need it)"
    as_root chmod 0666 /dev/net/tun
  fi
  if [ "$(id -u)" != 0 ] && ! grep -q "^$(id -un):" /etc/subuid 2>/dev/null; then
    say "Giving $(id -un) a range of subordinate user ids (cells have more than one user)"
    as_root usermod --add-subuids 100000-165535 --add-subgids 100000-165535 "$(id -un)"
  fi
}

# `setup tests` also installs requirements of the tests.
setup() {
  [ "${1:-}" != tests ] || NEEDED_PACKAGES+=("${TEST_PACKAGES[@]}")
  install_packages
  [ "${1:-}" != tests ] || unpack_packages
  install_rust
  prepare_host
}
