#!/usr/bin/env bash
# Writes what a Hugging Face Space needs to run an image: its README, whose first lines configure the Space, and a Dockerfile
# that only names the image. So the Space runs what was tested, and builds nothing.
#
#     deploy/scripts/space_files.sh REGISTRY/NAME@sha256:… DIRECTORY
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

image=${1:?the image}
directory=${2:?the directory to write}
repository=$(dirname "$0")/../..
[[ $image =~ @sha256:[0-9a-f]{64}$ ]] || refuse "$image is not named by its digest, so it could become another"
head -n 20 "$repository/README.md" | grep -q '^sdk: docker$' || refuse "README.md does not begin with a Space's settings"

mkdir -p "$directory"
cp "$repository/README.md" "$directory/"
printf '# Made by deploy/scripts/space_files.sh; the image is built from the Dockerfile in the sources.\nFROM %s\n' "$image" \
    >"$directory/Dockerfile"
echo "$directory: README.md, Dockerfile"
