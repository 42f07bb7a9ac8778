#!/usr/bin/env bash
# Makes one name of images for several architectures that were pushed already, and tells its digest: what is deployed is named
# by that, which nobody can put another image under.
#
#     REGISTRY_USER=… REGISTRY_TOKEN=… deploy/scripts/publish_manifest.sh REGISTRY/NAME:TAG REGISTRY/NAME:TAG-amd64 …
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

reference=${1:?the name}
shift
[ $# -gt 0 ] || refuse "no images were given"
require REGISTRY_USER "who pushes"
require REGISTRY_TOKEN "the password or token"
insecure=()
[[ $reference != 127.0.0.1:* ]] || insecure=(--insecure)  # A registry of this machine speaks HTTP.

printf %s "$REGISTRY_TOKEN" | docker login --username "$REGISTRY_USER" --password-stdin "${reference%%/*}"
trap 'docker logout "${reference%%/*}"' EXIT
docker manifest rm "$reference" >/dev/null 2>&1 || true  # What an earlier run left here would be added to.
docker manifest create "${insecure[@]}" "$reference" "$@"
digest=$(docker manifest push "${insecure[@]}" --purge "$reference" | grep -oE '^sha256:[0-9a-f]{64}$')
output image "${reference%:*}@$digest"
