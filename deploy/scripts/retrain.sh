#!/usr/bin/env bash
# From the texts that a server recorded to a better model that answers in the old one's place, or to the step that turned it
# back. A step that is done is not done again, so the same command goes on where it was stopped; each step can be run alone.
#
#     deploy/scripts/retrain.sh WORK [STEP…]
#
#   records   WORK/records.jsonl: what was recorded, with the labels that feedback gave
#   data      WORK/data: those beside a sample of the old data (tools/mix_datasets.py)
#   train     WORK/f32: from the weights that are served (tools/train.py)
#   quantize  WORK/int8
#   gate      WORK/gate.md and WORK/int8/evaluation_report.json: on the old test split the model must be as good as the one that
#             is served, on the new texts better
#   shadow    loads it beside the model that answers, until it has read SHADOW_TEXTS texts
#   canary    gives it a share of the requests, one of SHARES after the other, CANARY_REQUESTS each
#   promote   makes it the default model; the one before stays loaded, for going back
#
# RECORDS          the server's --record directory
# MODEL            the directory of the model that is served: training begins with it, the gate compares with it
# DATASET          the old data: what tools/train.py takes
# URL              the server, started with --allow-load            (http://127.0.0.1:7860)
# APUS_API_KEY     its API key, where it has one
# APUS             the binary                                       (.build/release/apus)
# PYTHON           Python with tools/requirements.txt               (.build-venv/bin/python)
# TRAINING         what tools/train.py is told besides              (--epochs 2 --learning-rate 5e-5)
# REPLAY           old texts for each new one                       (3)
# MIN_ACCURACY     on the old test split                            (0.60)
# MAX_DROP         of accuracy there                                (0.005)
# MIN_GAIN         of accuracy on the new texts                     (0.01)
# SHADOW_TEXTS     and MIN_AGREEMENT, the least share of them that both models call the same (500, 0.5)
# SHARES           and CANARY_REQUESTS, how many the canary must have answered at each       ("5% 25%", 300)
# WAIT             seconds that the shadow and each share may take  (3600)
#
# Exit status 1 where the gate, the shadow or the canary turned the model back: it is unloaded, and the one that was served
# still answers. 2 where something given is bad.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

work=${1:?the directory to work in}
shift
all=(records data train quantize gate shadow canary promote)
steps=("${@:-${all[@]}}")
repository=$(cd "$(dirname "$0")/../.." && pwd)
apus=${APUS:-$repository/.build/release/apus}
python=${PYTHON:-$repository/.build-venv/bin/python}
url=${URL:-http://127.0.0.1:7860}
url=${url%/}
read -ra training <<<"${TRAINING:---epochs 2 --learning-rate 5e-5}"
mkdir -p "$work"
work=$(cd "$work" && pwd)
[ -e "$work/name" ] || echo "retrained-$(date -u +%Y%m%d-%H%M%S)" >"$work/name"
name=$(cat "$work/name")

# post PATH JSON: the answer's body; the end where it is an error.
post() {
    local answer status
    answer=$(bearer "${APUS_API_KEY:-}" --silent --show-error --max-time 120 --write-out '\n%{http_code}' \
        --header 'Content-Type: application/json' --data "$2" "$url$1") || refuse "POST $url$1: no answer"
    status=${answer##*$'\n'}
    [ "$status" = 200 ] || refuse "POST $url$1 $2: status $status: ${answer%$'\n'*}"
    echo "${answer%$'\n'*}"
}

load() { post "/v2/repository/models/$name/load" "$(jq -nc --argjson parameters "$1" '{$parameters}')" >/dev/null; }

status() { bearer "${APUS_API_KEY:-}" --fail --silent --show-error --max-time 20 "$url/status" || refuse "$url/status: no answer"; }

turn_back() {
    post "/v2/repository/models/$name/unload" '{}' >/dev/null
    fail "$name was turned back: $*"
}

# until_count COUNT FILTER OBJECTION: waits until a figure of /status is as large, or the objection is more than nothing.
until_count() {
    local deadline=$((SECONDS + ${WAIT:-3600})) now found=0
    while [ "$SECONDS" -lt "$deadline" ]; do
        now=$(status) || { sleep 1; continue; }
        objection=$(jq -r "$3" <<<"$now")
        [ -z "$objection" ] || return 1
        found=$(jq "$2" <<<"$now")
        [ "$found" -lt "$1" ] || return 0
        sleep 1
    done
    objection="after ${WAIT:-3600} s it has had $found of $1"
    return 1
}

records() { "$apus" export-records "${RECORDS:?the recorded texts}" --labelled --output "$work/records.jsonl"; }

data() {
    "$python" "$repository/tools/mix_datasets.py" --old "${DATASET:?the old data}" --new "$work/records.jsonl" \
        --replay "${REPLAY:-3}" --output "$work/data"
}

train() {
    rm -rf "$work/f32"
    "$python" "$repository/tools/train.py" --base "${MODEL:?the model that is served}" --dataset "$work/data" \
        --output "$work/f32" --min-accuracy 0 "${training[@]}"
}

quantize() {
    rm -rf "$work/int8"
    "$apus" quantize --model "$work/f32" --output "$work/int8"
}

# The reference profile is of what comes now, so that drift is told from here on.
gate() {
    local gates=()
    rm -f "$work/gate.md"
    "$apus" evaluate --model "$work/int8" --dataset "$work/data/val.jsonl" --write-profile >/dev/null
    "$apus" evaluate --model "$work/int8" --dataset "$work/data/test.jsonl" --min-accuracy "${MIN_ACCURACY:-0.60}" \
        --reference-model "${MODEL:?the model that is served}" --max-accuracy-drop "${MAX_DROP:-0.005}" \
        --report "$work/int8/evaluation_report.json" --markdown "$work/gate.md" >/dev/null || gates+=("the old test split")
    "$apus" evaluate --model "$work/int8" --dataset "$work/data/new_test.jsonl" --reference-model "$MODEL" \
        --report "$work/new.json" --markdown "$work/gate.md" >/dev/null
    jq -e --argjson least "${MIN_GAIN:-0.01}" '.accuracy - .reference.accuracy >= $least' "$work/new.json" >/dev/null \
        || gates+=("the new texts: accuracy $(jq -r '"\(.accuracy), the served model'\''s \(.reference.accuracy)"' "$work/new.json")")
    summary <"$work/gate.md"
    [ ${#gates[@]} -eq 0 ] || fail "$name was turned back by the gate: $(printf '%s; ' "${gates[@]}")"
}

shadow() {
    load "$(jq -nc --arg model "$work/int8" '{$model, shadow: "100%"}')"
    echo "$name reads along, until it has read ${SHADOW_TEXTS:-500} texts"
    until_count "${SHADOW_TEXTS:-500}" ".shadow.texts // 0" "select(.shadow.name != \"$name\") | \"it is the shadow no more\"" \
        || turn_back "as the shadow, $objection"
    local agreement
    agreement=$(status | jq .shadow.agreement)
    jq -ne --argjson least "${MIN_AGREEMENT:-0.5}" --argjson found "$agreement" '$found >= $least' >/dev/null \
        || turn_back "as the shadow it called $agreement of the texts what the served model called them; the least is ${MIN_AGREEMENT:-0.5}"
}

canary() {
    local share
    for share in ${SHARES:-5% 25%}; do
        load "$(jq -nc --arg share "$share" '{$share}')"
        echo "$name answers $share of the requests, until it has answered ${CANARY_REQUESTS:-300}"
        until_count "${CANARY_REQUESTS:-300}" ".canary.canary.requests // 0" \
            "if .canary.name != \"$name\" then \"it is the canary no more\" else .canary.message // empty end" \
            || turn_back "as the canary, $objection"
    done
}

# Of the models that earlier rounds brought, the one before this stays.
promote() {
    local before old
    before=$(status | jq -r .name)
    load '{"share": "100%"}'
    for old in $(status | jq -r --arg name "$name" --arg before "$before" \
        '.models[].name | select(startswith("retrained-") and . != $name and . != $before)'); do
        post "/v2/repository/models/$old/unload" '{}' >/dev/null
    done
    echo "$name answers; $before is loaded beside it. To go back:" \
        "curl --json '{\"parameters\": {\"share\": \"100%\"}}' $url/v2/repository/models/$before/load"
}

for step in "${steps[@]}"; do
    [[ " ${all[*]} " == *" $step "* ]] || refuse "$step is no step; there are ${all[*]}"
    if [ ! -e "$work/$step.done" ] || [ $# -gt 0 ]; then
        echo "== $step"
        "$step"
        touch "$work/$step.done"
    fi
done
