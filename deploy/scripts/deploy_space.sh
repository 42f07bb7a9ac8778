#!/usr/bin/env bash
# Deploys an image to a Hugging Face Space, checks that it is what then answers, and goes back to what was there before where
# it is not. The Space must exist (hf repos create NAME --repo-type space --space-sdk docker).
#
#     HF_TOKEN=… deploy/scripts/deploy_space.sh OWNER/SPACE REGISTRY/NAME@sha256:… [check_deployment.sh's OPTION…]
#
# SPACE_URL      where it answers         (what the Hub says)
# SPACE_TIMEOUT  seconds for it to start  (1800)
#
# Exit status 1: the deployment failed, and the last lines say whether the old one is back.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

space=${1:?owner/name of the Space}
image=${2:?the image}
shift 2
require HF_TOKEN "a token that may write to $space"
here=$(dirname "$0")
limit=${SPACE_TIMEOUT:-1800}
export HF_HUB_DISABLE_TELEMETRY=1 HF_HUB_DISABLE_PROGRESS_BARS=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

info() { hf spaces info "$space" --format json; }
commit() { info | jq -er .sha; }
upload() { # DIRECTORY MESSAGE
    hf upload "$space" "$1" . --repo-type space --delete '*' --commit-message "$2" --format quiet
}
# is_up OPTION…: the Space runs and passes the check before the time is up. A build that failed is not waited for.
is_up() {
    local deadline=$((SECONDS + limit))
    while :; do
        hf spaces wait "$space" --timeout "$limit" --format quiet || return 1
        if "$here/check_deployment.sh" "$url" --timeout "$((limit < 20 ? limit : 20))" "$@"; then return 0; fi
        [ "$SECONDS" -lt "$deadline" ] || return 1
    done
}

before=$(commit) || refuse "$space cannot be read on the Hub; it must exist, and the token must be allowed to see it"
url=${SPACE_URL:-https://$(hf spaces info "$space" --expand subdomain --format json | jq -er .subdomain).hf.space}
hf download "$space" --repo-type space --revision "$before" --local-dir "$work/before" --format quiet >/dev/null
rm -rf "$work/before/.cache"  # hf's own notes
"$here/space_files.sh" "$image" "$work/after"
echo "$space is at $before; deploying $image"

since=$(date +%s)
uploaded=true
upload "$work/after" "Deploy $image" || uploaded=false
after=$(commit)
if [ "$after" = "$before" ]; then
    [ "$uploaded" = true ] || fail "the upload failed, and $space is as it was, at $before"
    since=0  # The same files as before start nothing anew.
fi
if [ "$uploaded" = true ] && is_up --started-after "$since" "$@"; then
    output space_commit "$after"
    echo "$space runs $image"
    exit 0
fi

echo "$script: $space does not run $image; going back to $before" >&2
hf spaces logs "$space" --build --tail 50 >&2 || true
since=$(date +%s)
upload "$work/before" "Back to $before: the deployment of $image failed" || fail "$space could not be put back to $before: DO IT BY HAND"
is_up --started-after "$since" || fail "$space has the files of $before again, but does not answer: LOOK AT IT"
fail "the deployment failed; $space runs what it ran before ($before)"
