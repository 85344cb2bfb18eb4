#!/bin/sh
# First level of every built image: a stripped root of distribution packages, as one tar file.
# The only step that uses the network: through this host's own apt sources and apt settings.
# The recipe has the list of packages (`packages`) and what is done with the installed root (`customize.sh`).
#
# usage: base.sh RECIPE_DIR OUT_DIR     (writes OUT_DIR/base.tar and OUT_DIR/packages.txt)
set -eu
recipe=$1
out=$2

. /etc/os-release
suite=${VERSION_CODENAME:?/etc/os-release names no release}
case $ID in
debian) origin=Debian kernel=linux-image-cloud-amd64 components=main ;;
ubuntu) origin=Ubuntu kernel=linux-image-virtual components='main universe' ;;
*)
	echo "images are built from Debian or Ubuntu packages, and this host is $ID" >&2
	exit 3
	;;
esac

work=$(mktemp -d "${TMPDIR:-/tmp}/image-base.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
chmod 0755 "$work"
# Days in /etc/shadow and times of files are the same whenever this is done.
export SOURCE_DATE_EPOCH=1451606400

# The host's sources, narrowed to the distribution itself: third-party sources have no place here.
# The origin is known from downloaded indexes; on a host without any (never updated, or cleaned)
# the names of release and component have to do.
sources() {
	apt-get indextargets "$@" --format '$(ORIGIN)|$(RELEASE)|$(REPO_URI)|$(COMPONENT)' \
		'Created-By: Packages' |
		awk -F'|' -v origin="$origin" -v suite="$suite" -v components="$components" '
			BEGIN { split(components, list, " "); for (i in list) wanted[list[i]] = 1 }
			($1 == origin || $1 == "$(ORIGIN)") && $4 in wanted &&
				($2 == suite || $2 == suite "-updates" || $2 == suite "-security") {
					print "deb", $3, $2, $4
				}' | sort -u
}
sources >"$work/sources.list"
[ -s "$work/sources.list" ] || sources --no-release-info >"$work/sources.list"
if ! [ -s "$work/sources.list" ]; then
	echo "apt on this host has no source for $ID $suite (main): see /etc/apt/sources.list" >&2
	exit 4
fi

# The host's ways of getting at its mirrors: proxies, retries, validity checks, credentials.
apt-config dump Acquire |
	grep -E '^Acquire::(http|https|Retries|Check-|ForceIPv|AllowInsecure)' |
	grep -v 'Language' >"$work/apt.conf" || true
[ ! -r /etc/apt/auth.conf ] || echo 'Dir::Etc::netrc "/etc/apt/auth.conf";' >>"$work/apt.conf"
cat >>"$work/apt.conf" <<'CONF'
Acquire::Languages "none";
APT::Install-Recommends "false";
CONF

# Every key this host's apt takes for its sources, in the one directory mmdebstrap wants.
mkdir "$work/keyrings"
{
	find /etc/apt/trusted.gpg /etc/apt/trusted.gpg.d /usr/share/keyrings/*-archive-keyring.gpg \
		-type f 2>/dev/null || true
	grep -rhoiE 'signed-by[:=] *[^] ]+' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null |
		sed 's/^[^:=]*[:=] *//' || true
} | sort -u | while read -r key; do
	[ ! -r "$key" ] || cp "$key" "$work/keyrings/"
done

cp "$recipe/packages" "$recipe/modules" "$recipe/strip" "$work/"
for script in customize kernel strip; do
	install -m 0755 "$recipe/$script.sh" "$work/"
done
packages=$(grep -v '^#' "$recipe/packages" | paste -sd, -)

mmdebstrap --variant=essential --architectures=amd64 --include="$packages" \
	--keyring="$work/keyrings" --aptopt="$work/apt.conf" \
	--dpkgopt='path-exclude=/usr/share/doc/*' \
	--dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/info/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' \
	--dpkgopt='path-exclude=/usr/share/i18n/*' \
	--dpkgopt='path-exclude=/usr/share/lintian/*' \
	--dpkgopt='path-exclude=/usr/share/bash-completion/*' \
	--dpkgopt='path-exclude=/usr/share/zsh/*' \
	--customize-hook="'$work/customize.sh' \"\$1\" '$work' '$kernel'" \
	"$suite" "$work/base.tar" "$work/sources.list"

tar -xOf "$work/base.tar" ./usr/share/lab-image/packages.txt >"$out/packages.txt"
mv "$work/base.tar" "$out/base.tar"
