#!/bin/sh
# Fetches a package of a Debian release and unpacks it: packages.sh FOLDER CODENAME PACKAGE
set -eu
folder=$1 codename=$2 package=$3
apt=$(mktemp -d)
trap 'rm -rf "$apt"' EXIT
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/parts"
: > "$apt/status"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -f "$keyring" ] || { echo "not found: $keyring (package debian-archive-keyring)"; exit 1; }
cat > "$apt/debian.sources" <<EOF
Types: deb
URIs: http://deb.debian.org/debian
Suites: $codename $codename-updates
Components: main
Architectures: amd64
Signed-By: $keyring

Types: deb
URIs: http://deb.debian.org/debian-security
Suites: $codename-security
Components: main
Architectures: amd64
Signed-By: $keyring
EOF
cat > "$apt/apt.conf" <<EOF
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
Acquire::Languages "none";
EOF
export APT_CONFIG="$apt/apt.conf"
apt-get update --quiet
cd "$apt/cache"
apt-get download --quiet "$package"
dpkg-deb --extract ./*.deb "$folder"
