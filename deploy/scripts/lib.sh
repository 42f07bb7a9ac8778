# shellcheck shell=bash
# What the scripts beside this file share; they source it.
set -euo pipefail

script=${0##*/}
export script

# Exit status 1: a check failed. 2: something that was given is bad, or is missing.
fail() { echo "$script: $*" >&2; exit 1; }
refuse() { echo "$script: $*" >&2; exit 2; }

# require NAME MEANING: the variable must be set.
require() { [ -n "${!1:-}" ] || refuse "$1 is not set; it is $2"; }

# bearer TOKEN CURL-ARGUMENT…: curl with a token, which no command line shows. Without one, plain curl.
bearer() {
    local token=$1
    shift
    if [ -n "$token" ]; then
        curl --config <(printf 'header = "Authorization: Bearer %s"\n' "$token") "$@"
    else
        curl "$@"
    fi
}

# github METHOD PATH-OR-URL [CURL-ARGUMENT…]: a call of GitHub's API; the body of the answer goes to standard output. Status 1
# for a 404, for callers to ask for; every other error is 2.
github() {
    local method=$1 url=$2 body status retries=()
    shift 2
    require GITHUB_TOKEN "a token for GitHub's API"
    [[ $url == http* ]] || url=${GITHUB_API_URL:-https://api.github.com}$url
    [ "$method" != GET ] || retries=(--location --retry 3)
    body=$(mktemp)
    status=$(bearer "$GITHUB_TOKEN" --silent --show-error --max-time 120 "${retries[@]}" --request "$method" \
        --header "X-GitHub-Api-Version: 2022-11-28" --output "$body" --write-out '%{http_code}' "$@" "$url") \
        || refuse "$method $url: no answer"
    case $status in
        2??) cat "$body"; rm -f "$body" ;;
        404) rm -f "$body"; return 1 ;;
        *) refuse "$method $url: status $status: $(head -c 500 "$body")" ;;
    esac
}

# summary: standard input goes to the job's summary on GitHub, and to standard output.
summary() { tee -a "${GITHUB_STEP_SUMMARY:-/dev/null}"; }

# output NAME VALUE: an output of the step on GitHub, and a line on standard output.
output() {
    [[ $2 != *$'\n'* ]] || refuse "the output $1 has several lines"
    echo "$1=$2" | tee -a "${GITHUB_OUTPUT:-/dev/null}"
}
