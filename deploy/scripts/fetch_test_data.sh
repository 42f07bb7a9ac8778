#!/usr/bin/env bash
# Fetches what the tests that need data look for in APUS_DATA: TweetEval's sentiment task and RoBERTa's tokenizer.
#
#     deploy/scripts/fetch_test_data.sh DIRECTORY
#
# TWEETEVAL_URL and HF_ENDPOINT name other origins.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

directory=${1:?the directory to write}
"$(dirname "$0")/fetch_tweeteval.sh" "$directory/tweeteval-sentiment" --with-train

model=${HF_ENDPOINT:-https://huggingface.co}/FacebookAI/roberta-base/resolve/main
tokenizer=$directory/roberta-base-tokenizer
mkdir -p "$tokenizer"
while read -r hash name; do
    path=$tokenizer/$name
    if [ -s "$path" ] && echo "$hash  $path" | sha256sum --check --status; then continue; fi
    curl --fail --silent --show-error --location --retry 5 --retry-delay 2 --max-time 120 --output "$path.partial" \
        "$model/$name" || refuse "$model/$name cannot be fetched"
    echo "$hash  $path.partial" | sha256sum --check --status || refuse "$model/$name is not RoBERTa's $name: its SHA-256 is another"
    mv "$path.partial" "$path"
done <<'END'
9e7f63c2d15d666b52e21d250d2e513b87c9b713cfa6987a82ed89e5e6e50655 vocab.json
1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5 merges.txt
END
echo "$tokenizer: vocab.json, merges.txt"
