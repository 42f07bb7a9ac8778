#!/usr/bin/env bash
# Builds the Dockerfile. The image's self-test runs while it is built.
#
#     deploy/scripts/build_image.sh IMAGE
#
# CONTAINER_ENGINE  docker, or what takes its commands             (docker)
# MODEL             a model of the Hub to bake in                  (the one that ships with Apus)
# MODEL_REVISION    its branch, tag or commit                      (main)
# HF_TOKEN          for a private model; it stays out of the image
# PIN_BASES=1       fetches the base images and builds on their digests, which the image's labels then name
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

image=${1:?the image}
engine=${CONTAINER_ENGINE:-docker}
repository=$(cd "$(dirname "$0")/../.." && pwd)

options=(--tag "$image")
if [ -n "${MODEL:-}" ]; then options+=(--build-arg "MODEL=$MODEL"); fi
if [ -n "${MODEL_REVISION:-}" ]; then options+=(--build-arg "MODEL_REVISION=$MODEL_REVISION"); fi
if [ -n "${HF_ENDPOINT:-}" ]; then options+=(--build-arg "HF_ENDPOINT=$HF_ENDPOINT"); fi
if [ -n "${HF_TOKEN:-}" ]; then
    # A file, since not every engine reads a secret from the environment; said aloud, since some would where a variable has its name.
    secret=$(mktemp)
    trap 'rm -f "$secret"' EXIT
    printf %s "$HF_TOKEN" >"$secret"
    options+=(--secret "id=HF_TOKEN,type=file,src=$secret")
fi
version=$(sed -n 's/^public let apusVersion = "\([^"]*\)"$/\1/p' "$repository/Sources/Engine/Version.swift")
options+=(--build-arg "VERSION=$version")
if revision=${GITHUB_SHA:-$(git -C "$repository" rev-parse HEAD 2>/dev/null)}; then options+=(--build-arg "REVISION=$revision"); fi
if [ -n "${GITHUB_REPOSITORY:-}" ]; then
    options+=(--build-arg "SOURCE=${GITHUB_SERVER_URL:-https://github.com}/$GITHUB_REPOSITORY")
fi
if [ "${PIN_BASES:-}" = 1 ]; then
    for argument in BUILD_IMAGE BASE_IMAGE; do
        base=$(sed -n "s/^ARG $argument=//p" "$repository/Dockerfile")
        "$engine" pull --quiet "$base" >/dev/null
        # An image that was pushed elsewhere has a digest there, too.
        digest=$("$engine" image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$base" \
            | grep -E "^(docker\.io/library/)?${base%:*}@sha256:[0-9a-f]{64}$" | head -n 1) || refuse "$base has no digest"
        echo "$argument: $base is $digest"
        options+=(--build-arg "$argument=$digest")
    done
    # The last one is what the image stands on.
    options+=(--label "org.opencontainers.image.base.name=$base" --label "org.opencontainers.image.base.digest=${digest#*@}")
fi
# An image alone, no list of images and attestations: the lists are made from these, by publish_manifest.sh.
BUILDX_NO_DEFAULT_ATTESTATIONS=1 "$engine" build "${options[@]}" "$repository"
"$engine" image inspect --format "$image: {{.Size}} bytes" "$image"
