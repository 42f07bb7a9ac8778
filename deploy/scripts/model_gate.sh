#!/usr/bin/env bash
# The gate that a model passes before it is released: fetched from the Hub, measured in f32 against a floor and against the last
# release, quantized, and the int8 form measured against f32.
#
#     deploy/scripts/model_gate.sh DATASET OUTPUT
#
# APUS            the binary                                        (.build/release/apus)
# MODEL           the model on the Hub                              (cardiffnlp/twitter-roberta-base-sentiment-latest)
# MODEL_REVISION  its branch, tag or commit                         (main)
# MIN_ACCURACY    the floor                                         (0.60)
# PREVIOUS        a directory with the last release's reports       (none: only the floor holds)
#
# Writes OUTPUT/model-gate-f32.json, model-gate-int8.json, model-gate.md and the int8 model, OUTPUT/int8. Exit status 1 where a
# gate fails; both are measured all the same.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

dataset=${1:?the data set}
out=${2:?the directory to write}
apus=${APUS:-.build/release/apus}
model=${MODEL:-cardiffnlp/twitter-roberta-base-sentiment-latest}
floor=${MIN_ACCURACY:-0.60}
mkdir -p "$out"
: >"$out/model-gate.md"

# least PRECISION: the floor, or the last release's accuracy where that is higher. Accuracy is the same on every machine, to the
# last bit, so no allowance is made for noise.
least() {
    local report=${PREVIOUS:-}/model-gate-$1.json
    if [ -z "${PREVIOUS:-}" ] || [ ! -e "$report" ]; then
        echo "$floor"
    else
        jq -e --argjson floor "$floor" '[.accuracy | numbers, $floor] | if length == 2 then max else error("no accuracy") end' "$report" \
            || refuse "$report tells no accuracy"
    fi
}
floor_f32=$(least f32)
floor_int8=$(least int8)

path=$("$apus" pull "$model" ${MODEL_REVISION:+--revision "$MODEL_REVISION"})
commit=${path##*/}
[[ $commit =~ ^[0-9a-f]{40}$ ]] || refuse "apus pull printed \"$path\", which ends in no commit"
echo "$model at $commit; at least $floor_f32 in f32, $floor_int8 in int8"

failures=()
# measure PRECISION ARGUMENT…: exit status 1 is a failed gate, which is kept for later; any other is the end.
measure() {
    local precision=$1 status=0
    shift
    "$apus" evaluate --dataset "$dataset" --precision "$precision" --report "$out/model-gate-$precision.json" \
        --markdown "$out/model-gate.md" "$@" || status=$?
    case $status in
        0) ;;
        1) failures+=("$precision") ;;
        *) exit "$status" ;;
    esac
}
measure f32 --model "$model" --revision "$commit" --min-accuracy "$floor_f32"
rm -rf "$out/int8"
"$apus" quantize --model "$model" --revision "$commit" --output "$out/int8"
measure int8 --model "$out/int8" --min-accuracy "$floor_int8" \
    --reference-model "$path" --reference-precision f32 --max-accuracy-drop 0.003 --min-agreement 0.99

summary <"$out/model-gate.md" >/dev/null
output model "$model"
output commit "$commit"
output weights_sha256 "$(jq -r .weights_sha256 "$out/model-gate-f32.json")"
[ ${#failures[@]} -eq 0 ] || fail "$model at $commit failed its gate in: ${failures[*]}"
