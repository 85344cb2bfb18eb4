#!/bin/sh
# Second level of the stand-in: first level's root + our files + the guest agent → kernel and
# initrd. Needs neither the network nor any privilege.
#
# usage: assemble.sh RECIPE_DIR BASE_TAR VERSION OUT_DIR AGENT
set -eu
recipe=$1
base=$2
version=$3
out=$4
agent=$5

work=$(mktemp -d "${TMPDIR:-/tmp}/stand-in-assemble.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
umask 022
export LC_ALL=C SOURCE_DATE_EPOCH=1451606400

root=$work/root
mkdir "$root"
tar -xf "$base" -C "$root" --no-same-owner --delay-directory-restore \
	--exclude='./dev/*' --exclude='./var/*' --exclude='./etc/apt' --exclude='./etc/dpkg' \
	--exclude='./usr/bin/apt*' --exclude='./usr/lib/apt'
chmod -R u+rwX "$root"
# Plain names only: distributions with a merged /usr have /lib as a link already.
[ -L "$root/lib" ] || { echo "the base root has no merged /usr" >&2; exit 1; }

cp -R "$recipe/rootfs/." "$root/"
install -m 0755 "$agent" "$root/usr/bin/guest-agent"
mkdir "$root/usr/share/oem"
if command -v strip >/dev/null; then strip "$root/usr/bin/guest-agent"; fi
find "$root/usr/lib/stand-in" "$root/usr/bin/update-ssh-keys" -type f -exec chmod 0755 {} +

cat >"$root/usr/lib/os-release" <<OS
ID=bootlab-stand-in
ID_LIKE=coreos
NAME="bootlab stand-in (not CoreOS)"
PRETTY_NAME="bootlab stand-in $version (not CoreOS)"
VERSION=$version
VERSION_ID=$version
ANSI_COLOR=
OS
ln -sf ../usr/lib/os-release "$root/etc/os-release"
echo 'bootlab stand-in (not CoreOS) \m \l' >"$root/etc/issue"
: >"$root/etc/motd"
rm -f "$root/etc/hostname" "$root/etc/resolv.conf" "$root/etc/machine-id" \
	"$root/etc/environment" "$root/etc/update-motd.d"/* "$root/etc/issue.net" "$root/etc/debian_version"
echo '127.0.0.1 localhost' >"$root/etc/hosts"

# The user of every CoreOS machine.
add_group() {
	grep -q "^$1:" "$root/etc/group" && return
	echo "$1:x:$2:$3" >>"$root/etc/group"
	echo "$1:!::$3" >>"$root/etc/gshadow"
}
# Its number is wheel's on CoreOS.
sed -i '/^uucp:/d' "$root/etc/passwd" "$root/etc/group" "$root/etc/shadow" "$root/etc/gshadow"
add_group core 500 ''
add_group docker 233 core
add_group wheel 10 core
add_group rkt 251 core
for group in sudo systemd-journal; do
	sed -i "s/^\($group:.*:\)$/\1core/" "$root/etc/group"
done
echo 'core:x:500:500:CoreOS Admin:/home/core:/bin/bash' >>"$root/etc/passwd"
echo 'core:*:16436:0:99999:7:::' >>"$root/etc/shadow"
add_group sshd 204 ''
echo 'sshd:x:204:204:privilege separation:/run/sshd:/usr/sbin/nologin' >>"$root/etc/passwd"
echo 'sshd:*:16436:0:99999:7:::' >>"$root/etc/shadow"
mkdir -p "$root/etc/ssh"
ln -sf ../../usr/share/ssh/sshd_config "$root/etc/ssh/sshd_config"
rm -f "$root/etc/passwd-" "$root/etc/group-" "$root/etc/shadow-" "$root/etc/gshadow-"
chmod 0440 "$root/etc/sudoers" "$root/etc/sudoers.d"/*
chmod 0640 "$root/etc/shadow" "$root/etc/gshadow"
# The few lines of a login shell's profile, without the programs that Debian's calls.
cat >"$root/etc/profile" <<'RC'
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin
export PATH
for file in /etc/profile.d/*.sh; do
	[ ! -r "$file" ] || . "$file"
done
unset file
RC
# The login of a machine with local users alone; Debian's loads a dozen more modules.
cat >"$root/etc/pam.d/login" <<'PAM'
auth required pam_unix.so
account required pam_unix.so
password required pam_unix.so
session required pam_unix.so
PAM
cp "$root/etc/pam.d/login" "$root/etc/pam.d/sshd"
sed -i '/pam_systemd\|pam_motd\|pam_mail\|pam_lastlog/d' "$root"/etc/pam.d/*
# No colours and no title sequences at the prompt: checks read this console.
cat >"$root/etc/skel/.bashrc" <<'RC'
PS1='\u@\h \w $ '
RC
rm -f "$root/etc/skel/.bash_logout"
cat >"$root/etc/skel/.profile" <<'RC'
[ -z "$BASH_VERSION" ] || . ~/.bashrc
# Wide enough that the line editor does not scroll long lines sideways.
[ "$TERM" != dumb ] || stty cols 500 rows 50
RC

system=$root/usr/lib/systemd/system
units=$root/etc/systemd/system
rm -rf "$units" && mkdir -p "$units"
# No generator has anything to find in this image, and each costs a process at every boot.
rm -f "$root"/usr/lib/systemd/*generators/*
# Only scripts of System V's kind need these.
rm -f "$system"/runlevel*.target "$system"/rc*.service "$system"/rescue.target.wants/*
wanted_by() {
	mkdir -p "$units/$2.wants"
	ln -sf "/usr/lib/systemd/system/$1" "$units/$2.wants/$1"
}
rules=
while read -r verb unit; do
	case $verb in
	enable) wanted_by "$unit" "$(sed -n 's/^WantedBy=//p' "$system/$unit" | head -n 1)" ;;
	want) wanted_by "$unit" multi-user.target ;;
	lazy) rm -f "$system"/*.wants/"$unit" ;;
	drop) rm -rf "${system:?}/$unit" "$system/$unit.d" "$system/$unit.wants" "$system"/*.wants/"$unit" ;;
	rules) rules="$rules $unit" ;;
	esac
done <"$recipe/units"
for file in "$root"/usr/lib/udev/rules.d/*; do
	case " $rules " in
	*" ${file##*/} "*) ;;
	*) rm "$file" ;;
	esac
done
# What these three do is asked for by files in /etc alone.
rm -f "$root"/usr/lib/sysctl.d/* "$root"/etc/sysctl.d/* "$root"/etc/sysctl.conf \
	"$root"/usr/lib/tmpfiles.d/* "$root"/etc/tmpfiles.d/* \
	"$root"/usr/lib/modules-load.d/* "$root"/etc/modules-load.d/* "$root"/etc/modules
ln -sf /usr/lib/systemd/system/multi-user.target "$units/default.target"
# The name that CoreOS has for it, which configs order their units after.
ln -s cloud-config.service "$system/user-cloudinit-proc-cmdline.service"

mkdir -p "$root/usr/share/stand-in/var"
(
	cd "$root/usr/share/stand-in/var"
	mkdir -p cache lib/systemd lib/private lib/sudo local log spool tmp
	chmod 0700 lib/private lib/sudo
	chmod 1777 tmp
	ln -s ../run run
	ln -s ../run/lock lock
)
mv "$root/etc" "$root/usr/share/stand-in/etc"
ln -sf ../proc/self/mounts "$root/usr/share/stand-in/etc/mtab"
chmod u+s "$root/usr/bin/sudo" "$root/usr/bin/su"

# The initramfs has the only use for busybox.
mv "$root/usr/bin/busybox" "$work/busybox"

find "$root/usr" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
mkdir "$work/initramfs"
mksquashfs "$root/usr" "$work/initramfs/usr.squashfs" -all-root -noappend -no-progress -quiet \
	-comp zstd -Xcompression-level 22 -b 256K -no-xattrs

cd "$work/initramfs"
mkdir -p bin usr
# What modprobe, which the kernel asks for file systems, and systemd-udevd are links to.
ln -s ../usr/bin/kmod ../usr/bin/udevadm bin/
for link in lib lib64 sbin; do ln -s usr/$link $link; done
install -m 0755 "$recipe/initramfs/init" init
install -m 0755 "$recipe/initramfs/udhcpc" udhcpc
install -m 0644 "$recipe/initramfs/kargs" kargs
install -m 0755 "$recipe/initramfs/setfiles" bin/setfiles
sh "$recipe/pack.sh" "$root" "$work/busybox" "$work/initramfs" "$out"
