#!/usr/bin/env bash
# A container engine for deploy/scripts where no Docker runs: podman as root, set up for a machine in a sandbox (a storage
# without overlays, cgroups of version 1, no right to raise limits), with the base images of make_base_images.sh and the
# machine's Swift bound into builds.
#
#     APUS_CONTAINER_STORAGE=… CONTAINER_ENGINE=Tests/Container/engine.sh deploy/scripts/build_image.sh IMAGE
set -euo pipefail
storage=${APUS_CONTAINER_STORAGE:?the folder of the images}
podman=(podman --storage-driver vfs --root "$storage/root" --runroot "$storage/run" --cgroup-manager cgroupfs --runtime runc)
toolchain=${SWIFT_TOOLCHAIN:-/opt/swift}

command=$1
shift
case $command in
    build)
        binds=(--volume "$toolchain:$toolchain:ro")
        while read -r _ mirror; do
            mirror=${mirror%/}
            [ ! -d "$mirror" ] || binds+=(--volume "$mirror:$mirror:ro")
        done < <(git config --system --get-regexp '^url\..*insteadof$' | sed 's/^url\.\(.*\)\.insteadof .*/mirror \1/' | sort -u)
        # Docker's own form of images: the other one has no HEALTHCHECK.
        exec nice -n 19 "${podman[@]}" build --isolation chroot --pull=never --format docker "${binds[@]}" "$@"
        ;;
    run) exec "${podman[@]}" run --pull=never --ulimit nofile=1024:4096 --ulimit nproc=4096:4096 "$@" ;;
    pull) exec "${podman[@]}" pull --tls-verify=false "$@" ;;
    push) exec "${podman[@]}" push --tls-verify=false "$@" ;;
    login) exec "${podman[@]}" login --tls-verify=false "$@" ;;
    *) exec "${podman[@]}" "$command" "$@" ;;
esac
