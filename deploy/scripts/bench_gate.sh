#!/usr/bin/env bash
# Runs `make bench-gate` and keeps what it said as a page of Markdown, for the job's summary and for a comment.
#
#     deploy/scripts/bench_gate.sh PAGE
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

page=${1:?the page to write}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
make bench-gate 2>&1 | tee "$log" || status=$?

# Colours and what else steers a terminal is no text.
sed 's/\x1b\[[0-9;]*[A-Za-z]//g; s/\r//g' "$log" >"$log.plain"
{
    if [ "$status" != 0 ]; then
        echo '### ❌ A benchmark fell behind, or did not run'
    elif grep -q '^skipped: ratios:' "$log.plain"; then
        echo '### ⚠️ No benchmark allocates more; speed was not compared: there is no baseline for this kind of CPU'
    elif grep -q '^skipped:' "$log.plain"; then
        echo '### ⚠️ No benchmark fell behind; some were skipped'
    else
        echo '### ✅ No benchmark fell behind'
    fi
    echo
    # What was found, and tables as they are; the rest to look up.
    grep -E '^(passed|failed|skipped|not in the baseline):' "$log.plain" | sed 's/$/  /' || true
    echo
    grep '^|' "$log.plain" || true
    printf '\n<details><summary>all of its output</summary>\n\n~~~~\n'
    tail -c 30000 "$log.plain" | sed 's/^~~~~/ ~~~~/'
    printf '~~~~\n</details>\n'
    rm -f "$log.plain"
} | summary >"$page"
exit "$status"
