#!/usr/bin/env bash
# Fetches TweetEval's sentiment task, what models are measured on, from its public origin, and checks every byte: a gate is
# worth as much as the data it is measured on.
#
#     deploy/scripts/fetch_tweeteval.sh DIRECTORY [--with-train]
#
# TWEETEVAL_URL names another origin. What is there already, and right, is kept.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

directory=${1:?the directory to write}
origin=${TWEETEVAL_URL:-https://raw.githubusercontent.com/cardiffnlp/tweeteval/main/datasets/sentiment}
mkdir -p "$directory"

# SHA-256 and name. The training split is not measured on; its hash is not known here.
files='
c0572796fbe261d8ea5fd16c5061076fbba49bc69fc865d6abccaf60daacee24 mapping.txt
6afb4afe9374d1f983bcf9a7c79b108d0f37fdf020a83f30488309bed215db9d test_labels.txt
09a93a55c63fd93f97485ef7302889d7edb4091cd49733aa37da094f0bfa0675 test_text.txt
b4566926c72e2e4e2916c864def94e76c4cdde52446af2c7ba4fc2006e057e51 val_labels.txt
e5b021e6fc45064c260b09814b803d8f56cada519c4d952d72f43d48a350a964 val_text.txt
'
[ "${2:-}" != --with-train ] || files+='any train_labels.txt
any train_text.txt
'

is_right() { # PATH HASH
    [ -s "$1" ] || return 1
    [ "$2" = any ] || echo "$2  $1" | sha256sum --check --status
}

while read -r hash name; do
    [ -n "$name" ] || continue
    path=$directory/$name
    if is_right "$path" "$hash"; then continue; fi
    curl --fail --silent --show-error --location --retry 5 --retry-delay 2 --max-time 120 --output "$path.partial" \
        "$origin/$name" || refuse "$origin/$name cannot be fetched"
    if ! is_right "$path.partial" "$hash"; then
        found=$(sha256sum <"$path.partial" | cut -d ' ' -f 1)
        rm "$path.partial"
        refuse "$origin/$name has the SHA-256 $found, not $hash: it is not the file that Apus is measured on"
    fi
    mv "$path.partial" "$path"
done <<<"$files"
for split in test val ${2:+train}; do
    texts=$(wc -l <"$directory/${split}_text.txt")
    labels=$(wc -l <"$directory/${split}_labels.txt")
    [ "$texts" = "$labels" ] || refuse "$directory: $texts texts of the split $split, but $labels labels"
    echo "$directory: $split, $texts texts"
done
