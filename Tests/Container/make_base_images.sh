#!/usr/bin/env bash
# Makes the two base images that the Dockerfile names, where no registry can be asked for them: Debian from debootstrap, and
# Swift's image from that, with what swiftlang/swift-docker installs in its own for Debian 12. The toolchain itself and its
# mirror of packages are bound in while building (build_options in images.py); only links to it are made here.
#
#     Tests/Container/make_base_images.sh STORAGE    as root; what is there already is kept
set -euo pipefail
storage=$(realpath -m "${1:?the folder of the images}")
toolchain=${SWIFT_TOOLCHAIN:-/opt/swift}
mkdir -p "$storage"

buildah() { command buildah --storage-driver vfs --root "$storage/root" --runroot "$storage/run" "$@"; }
has() { buildah inspect --type image "$1" >/dev/null 2>&1; }

debian=docker.io/library/debian:bookworm-slim
swift=docker.io/library/swift:6.3.1-bookworm

if ! has "$debian"; then
    folder=$(mktemp -d "$storage/debootstrap.XXXXXX")
    trap 'rm -rf "$folder"' EXIT
    debootstrap --variant=minbase bookworm "$folder" http://deb.debian.org/debian
    cat >"$folder/etc/apt/sources.list" <<-END
	deb http://deb.debian.org/debian bookworm main
	deb http://deb.debian.org/debian bookworm-updates main
	deb http://deb.debian.org/debian-security bookworm-security main
	END
    # As the official slim image is: no packages' archives, lists or manuals.
    rm -rf "$folder"/var/cache/apt/archives/*.deb "$folder"/var/lib/apt/lists/* "$folder"/var/log/*.log "$folder"/proc/* \
        "$folder"/usr/share/{doc,man,info,locale,lintian}/*
    container=$(buildah from scratch)
    buildah copy -q "$container" "$folder" /
    buildah config --cmd bash --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
    buildah commit -q --rm "$container" "$debian"
fi

if ! has "$swift"; then
    container=$(buildah from --pull-never "$debian")
    buildah run --isolation chroot "$container" -- sh -ec '
        export DEBIAN_FRONTEND=noninteractive
        apt-get -q update
        apt-get -q install -y binutils gcc git libcurl4-openssl-dev libedit-dev libicu-dev libncurses-dev libpython3-dev \
            libsqlite3-dev libstdc++-12-dev libxml2-dev pkg-config tzdata uuid-dev
        rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb'
    # Where this machine reads its packages from: git asks its mirror, not the network.
    mirror=$(mktemp)
    git config --system --get-regexp '^url\..*insteadof$' | while read -r key value; do
        git config --file "$mirror" --add "$key" "$value"
    done
    git config --file "$mirror" --add safe.directory '*'
    buildah copy -q "$container" "$mirror" /etc/gitconfig
    rm "$mirror"
    buildah config --env "PATH=$toolchain/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
        --env "LD_LIBRARY_PATH=$toolchain/usr/lib/swift/linux" "$container"
    buildah commit -q --rm "$container" "$swift"
fi
buildah images
