#!/bin/sh
# Fetches a package of a Debian release and unpacks it:
#   packages.sh FOLDER CODENAME PACKAGE [VERSION|- [MIRROR|- [KNOWN VERSION…]]]
# FOLDER/control then has the version. A KNOWN version is not fetched: there is FOLDER/control alone.
# Each exit code has its own message (package.rs).
set -eu
folder=$1 codename=$2 package=$3 version=${4:--} mirror=${5:--}
for program in apt-get apt-cache dpkg-deb; do
    command -v "$program" > /dev/null || { echo "not found: $program"; exit 10; }
done
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -f "$keyring" ] || { echo "not found: $keyring"; exit 11; }
apt=$(mktemp -d)
trap 'rm -rf "$apt"' EXIT
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/parts"
: > "$apt/status"
case $mirror in
-) archive=http://deb.debian.org/debian ;;
*) archive=$mirror ;;
esac
cat > "$apt/debian.sources" <<END
Types: deb
URIs: $archive
Suites: $codename $codename-updates
Components: main
Architectures: amd64
Signed-By: $keyring
END
[ "$mirror" != - ] || cat >> "$apt/debian.sources" <<END

Types: deb
URIs: http://deb.debian.org/debian-security
Suites: $codename-security
Components: main
Architectures: amd64
Signed-By: $keyring
END
cat > "$apt/apt.conf" <<END
Dir::State "$apt";
Dir::State::lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
Dir::Etc::sourcelist "$apt/debian.sources";
Dir::Etc::sourceparts "$apt/parts";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "$apt/parts";
APT::Architecture "amd64";
APT::Architectures "amd64";
APT::Sandbox::User "";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
END
export APT_CONFIG="$apt/apt.conf" LC_ALL=C
apt-get update --quiet || exit 12
newest=$(apt-cache show --no-all-versions "$package" | sed -n 's/^Version: //p')
[ "$newest" ] || exit 13
case $version in
-) version=$newest ;;
*) apt-cache show "$package" | grep -qx "Version: $version" || exit 14 ;;
esac
printf 'Package: %s\nVersion: %s\n' "$package" "$version" > "$folder/control"
[ $# -le 5 ] || shift 5
for known; do
    [ "$known" != "$version" ] || exit 0
done
cd "$apt/cache"
apt-get download --quiet "$package=$version" || exit 15
dpkg-deb --extract ./*.deb "$folder" || exit 16
