#!/usr/bin/env bash
# Deploys an image to a Hugging Face Space, checks that it is what then answers, and goes back to what was there before where
# it is not, or where it is stopped. The Space must exist (hf repos create NAME --repo-type space --space-sdk docker).
#
#     HF_TOKEN=… deploy/scripts/deploy_space.sh OWNER/SPACE REGISTRY/NAME@sha256:… [check_deployment.sh's OPTION…]
#
# SPACE_URL         where it answers                               (what the Hub says)
# SPACE_TIMEOUT     seconds for it to start, and for the old one   (1800)
# SPACE_SETTLE      seconds after which a bad stage is believed    (60)
# SPACE_POLL        seconds between two questions to the Hub       (5)
# DEPLOYMENT_TOKEN  what check_deployment.sh is to send            (nothing)
#
# Exit status 1: the deployment failed, and the last lines say whether the old one is back. 130: it was stopped.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

space=${1:?owner/name of the Space}
image=${2:?the image}
shift 2
require HF_TOKEN "a token that may write to $space"
here=$(dirname "$0")
limit=${SPACE_TIMEOUT:-1800}
settle=${SPACE_SETTLE:-60}
poll=${SPACE_POLL:-5}
export HF_HUB_DISABLE_TELEMETRY=1 HF_HUB_DISABLE_PROGRESS_BARS=1
work=$(mktemp -d)
armed=false stopped=false child=
trap leave EXIT
trap 'stopped=true; exit 130' HUP INT TERM

# run PROGRAM…: bash heeds no signal while a program in the foreground runs, but does while it waits for one behind it. A
# cancelled job has 10 s.
run() {
    local status=0
    "$@" &
    child=$!
    wait "$child" || status=$?
    child=
    return "$status"
}
thrice() { "$@" || { sleep "$poll"; "$@"; } || { sleep "$poll"; "$@"; }; }
say() { echo "$script: $*" >&2; }

# hf itself waits for an answer for ever.
ask() { timeout 30 hf spaces info "$space" --expand "${1%%.*}" --format json | jq -er ".$1 // empty"; }
commit() { thrice ask sha; }
upload() { # DIRECTORY MESSAGE
    run timeout --kill-after 5 180 \
        hf upload "$space" "$1" . --repo-type space --delete '*' --commit-message "$2" --format quiet
}

# is_up OPTION…: the Space passes the check before the time is up. What the Hub says lags behind an upload, so that a bad
# stage is believed only where it stays; a question without an answer is asked again.
is_up() {
    local deadline=$((SECONDS + limit)) stage bad_since='' left
    while left=$((deadline - SECONDS)) && [ "$left" -gt 0 ]; do
        stage=$(ask runtime.stage) || stage=
        case $stage in
            RUNNING | SLEEPING) # The check wakes it.
                bad_since=
                if run "$here/check_deployment.sh" "$url" --timeout "$((left < 20 ? left : 20))" "$@"; then return 0; fi
                ;;
            BUILD_ERROR | CONFIG_ERROR | DELETING | NO_APP_FILE | PAUSED | RUNTIME_ERROR | STOPPED)
                bad_since=${bad_since:-$SECONDS}
                if [ $((SECONDS - bad_since)) -ge "$settle" ]; then
                    say "$space stays at the stage $stage"
                    return 1
                fi
                ;;
            ?*) bad_since= ;;
        esac
        run sleep "$poll"
    done
    say "$space was not up after $limit s; its stage: ${stage:-not said}"
    return 1
}

# Puts back what was there; the last line says whether it runs.
go_back() {
    local since
    since=$(date +%s)
    say "$space does not run $image; going back to $before"
    thrice upload "$work/before" "Back to $before: the deployment of $image failed" \
        || { say "$space could not be put back to $before: DO IT BY HAND"; return; }
    if [ "$stopped" = true ]; then
        say "stopped; $space has the files of $before again, and nobody saw whether it answers: LOOK AT IT"
        return
    fi
    trap - HUP INT TERM  # Who stops it from here on stops but the waiting.
    [ "$(commit)" != "$before" ] || since=0  # Nothing had changed, so nothing starts anew.
    if is_up --started-after "$since" "${identity[@]}"; then
        say "the deployment failed; $space runs what it ran before ($before)"
    else
        say "$space has the files of $before again, but does not answer as it did: LOOK AT IT"
    fi
}

leave() {
    trap '' HUP INT TERM  # Nor does the upload below heed them.
    if [ -n "$child" ]; then  # An upload that went on could come after the one below.
        kill "$child" 2>/dev/null || true
        wait "$child" || true
    fi
    if [ "$armed" = true ]; then go_back; fi
    rm -rf "$work"
}

before=$(commit) || refuse "$space cannot be read on the Hub; it must exist, and the token must be allowed to see it"
url=${SPACE_URL:-https://$(thrice ask subdomain).hf.space}
timeout 180 hf download "$space" --repo-type space --revision "$before" --local-dir "$work/before" --format quiet >/dev/null
rm -rf "$work/before/.cache"  # hf's own notes
"$here/space_files.sh" "$image" "$work/after"
# What the old one says of itself: the new one, if it starts late, must not pass for it. No option where it does not answer;
# "nothing" is check_deployment.sh's word for what is null.
status=$(bearer "${DEPLOYMENT_TOKEN:-}" --fail --silent --max-time 20 "$url/status") || status=
mapfile -t identity < <(jq -r 'select(type == "object") | ("version", "revision", "weights_sha256", "precision") as $key
    | "--" + ($key | gsub("_"; "-")), (.[$key] // "nothing")' <<<"$status" 2>/dev/null)
echo "$space is at $before; deploying $image"

since=$(date +%s)
armed=true
uploaded=true
upload "$work/after" "Deploy $image" || uploaded=false
after=$(commit) || after=unknown
if [ "$after" = "$before" ]; then
    armed=false  # There is nothing to go back from.
    [ "$uploaded" = true ] || fail "the upload failed, and $space is as it was, at $before"
    is_up "$@" || fail "$space had these files already, at $before, and does not run $image: LOOK AT IT"
elif [ "$uploaded" = false ] || ! is_up --started-after "$since" "$@"; then
    run timeout 30 hf spaces logs "$space" --build --tail 50 >&2 || true
    exit 1
fi
armed=false
output space_commit "$after"
echo "$space runs $image"
