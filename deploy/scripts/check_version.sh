#!/usr/bin/env bash
# Refuses a tag that is not the version in the sources; else prints the version.
#
#     deploy/scripts/check_version.sh v0.1.0
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

tag=${1:?the tag}
file=$(dirname "$0")/../../Sources/Engine/Version.swift
version=$(sed -n 's/^public let apusVersion = "\([^"]*\)"$/\1/p' "$file")
[ -n "$version" ] || refuse "no apusVersion in $file"
[ "$tag" = "v$version" ] || refuse "the tag is $tag, but $file says $version; tag v$version, or change the version first"
output version "$version"
