#!/usr/bin/env bash
# Waits until a server that runs somewhere is the one that was meant to: what its /status says, that it passed its self-test,
# that it is ready, and that it answers.
#
#     deploy/scripts/check_deployment.sh URL [--version V] [--model M] [--revision R] [--weights-sha256 H] [--precision P]
#         [--started-after SECONDS-SINCE-1970] [--timeout SECONDS]
#
# Exit status 1 where it is another when the time (60 s) is up; the last line says how. DEPLOYMENT_TOKEN, if set, is sent: the
# server's API key, or what a private Space asks for.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

url=${1:?the server\'s address}
url=${url%/}
shift
declare -A expected=()
started_after=0
seconds=60
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || refuse "$1 has no value"
    [ -n "$2" ] || refuse "$1 is empty; an unset variable would check nothing"
    name=${1#--}
    case $1 in
        --version | --model | --revision | --weights-sha256 | --precision) expected[${name//-/_}]=$2 ;;
        --started-after) started_after=$2 ;;
        --timeout) seconds=$2 ;;
        *) refuse "$1 is no option" ;;
    esac
    shift 2
done

get() { bearer "${DEPLOYMENT_TOKEN:-}" --fail --silent --max-time 20 "$@"; }

# The first thing that is not as it should be; nothing where all is.
problem() {
    local status answer key found
    status=$(get "$url/status") || { echo "$url/status does not answer"; return; }
    jq -e 'type == "object"' <<<"$status" >/dev/null 2>&1 || { echo "$url/status is no JSON object"; return; }
    for key in "${!expected[@]}"; do
        found=$(jq -r --arg key "$key" '.[$key] // "nothing"' <<<"$status")
        [ "$found" = "${expected[$key]}" ] || { echo "its $key is $found, not ${expected[$key]}"; return; }
    done
    jq -e '.self_test.passed == true' <<<"$status" >/dev/null || { echo "it has not passed its self-test"; return; }
    # Times of this machine alone: what the server's clock says does not matter.
    jq -e --argjson after "$started_after" '(now - .uptime_seconds) >= $after - 1' <<<"$status" >/dev/null \
        || { echo "it has run since before the deployment: it is still the old one"; return; }
    get --output /dev/null "$url/health/ready" || { echo "it is not ready"; return; }
    answer=$(get --header "Content-Type: application/json" --data '{"text": "I love MLOps"}' "$url/predict") \
        || { echo "POST $url/predict is refused"; return; }
    jq -e --argjson labels "$(jq .labels <<<"$status")" '
        (.label | IN($labels[])) and .score == .scores[.label] and .score == ([.scores[]] | max)
        and ([.scores[]] | add - 1 | fabs) < 1e-3' <<<"$answer" >/dev/null || { echo "its prediction makes no sense: $answer"; return; }
}

deadline=$((SECONDS + seconds))
while found=$(problem) && [ -n "$found" ]; do
    [ "$SECONDS" -lt "$deadline" ] || fail "$url is not what was deployed after $seconds s: $found"
    sleep 1
done
echo "$url: $(get "$url/status" | jq -c '{model, revision, version, precision, isa, weights_sha256}')"
