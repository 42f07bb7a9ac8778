#!/usr/bin/env bash
# Pushes an image that is here under a name of a registry.
#
#     REGISTRY_USER=… REGISTRY_TOKEN=… deploy/scripts/publish_image.sh IMAGE REGISTRY/NAME:TAG
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

image=${1:?the image}
reference=${2:?where to push it}
engine=${CONTAINER_ENGINE:-docker}
require REGISTRY_USER "who pushes"
require REGISTRY_TOKEN "the password or token"

printf %s "$REGISTRY_TOKEN" | "$engine" login --username "$REGISTRY_USER" --password-stdin "${reference%%/*}"
trap '"$engine" logout "${reference%%/*}"' EXIT
"$engine" tag "$image" "$reference"
"$engine" push "$reference"
