#!/usr/bin/env bash
# Makes the release of a tag, with files. It is public only when all of them are there, since the next model is held against
# those of the last release. One of the same tag that was begun is gone on with.
#
#     GITHUB_TOKEN=… GITHUB_REPOSITORY=owner/name deploy/scripts/create_release.sh TAG FILE…
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

tag=${1:?the tag}
shift
require GITHUB_REPOSITORY "owner/name of the repository"
[ $# -gt 0 ] || refuse "no files were given"
json=(--header "Accept: application/vnd.github+json")
releases=/repos/$GITHUB_REPOSITORY/releases

# A draft has no tag yet by which it could be asked for.
release=$(github GET "$releases?per_page=100" "${json[@]}" | jq --arg tag "$tag" 'first(.[] | select(.tag_name == $tag)) // empty')
if [ -z "$release" ]; then
    request=$(jq -n --arg tag "$tag" '{tag_name: $tag, name: $tag, draft: true, generate_release_notes: true}')
    release=$(github POST "$releases" "${json[@]}" --data "$request")
fi
upload=$(jq -r '.upload_url | sub("\\{.*"; "")' <<<"$release")
for file in "$@"; do
    [ -s "$file" ] || refuse "$file is empty or missing"
    name=${file##*/}
    old=$(jq -r --arg name "$name" 'first(.assets[]? | select(.name == $name)).url // empty' <<<"$release")
    [ -z "$old" ] || github DELETE "$old" "${json[@]}"
    github POST "$upload?name=$(jq -rn --arg name "$name" '$name | @uri')" "${json[@]}" \
        --header "Content-Type: application/octet-stream" --data-binary "@$file" | jq -r '"\(.name): \(.size) bytes"'
done
github PATCH "$(jq -r .url <<<"$release")" "${json[@]}" --data '{"draft": false}' | jq -r .html_url
