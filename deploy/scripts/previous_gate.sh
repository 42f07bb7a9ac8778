#!/usr/bin/env bash
# Fetches the gate's reports of the last release, which a new model must not fall behind.
#
#     GITHUB_TOKEN=… GITHUB_REPOSITORY=owner/name deploy/scripts/previous_gate.sh DIRECTORY
#
# Before the first release there is none, and the directory stays empty.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

directory=${1:?the directory to write}
require GITHUB_REPOSITORY "owner/name of the repository"
mkdir -p "$directory"

status=0
release=$(github GET "/repos/$GITHUB_REPOSITORY/releases/latest" --header "Accept: application/vnd.github+json") || status=$?
case $status in
    0) ;;
    1) echo "no release yet: there is no figure to fall behind"; exit 0 ;;
    *) exit "$status" ;;
esac
tag=$(jq -r .tag_name <<<"$release")
for name in model-gate-f32.json model-gate-int8.json; do
    url=$(jq -r --arg name "$name" 'first(.assets[] | select(.name == $name)).url // empty' <<<"$release")
    [ -n "$url" ] || refuse "the release $tag has no $name; attach the one of its gate's artifact, so that it is known what must hold"
    github GET "$url" --header "Accept: application/octet-stream" >"$directory/$name"
    echo "$tag: $name, accuracy $(jq -e .accuracy "$directory/$name")"
done
