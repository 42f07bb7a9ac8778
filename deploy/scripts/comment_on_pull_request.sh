#!/usr/bin/env bash
# Puts a page of Markdown under the pull request that a workflow ran for, in place of the one that stood there before.
#
#     GITHUB_TOKEN=… GITHUB_REPOSITORY=owner/name HEAD_OWNER=… HEAD_BRANCH=… HEAD_SHA=… \
#         deploy/scripts/comment_on_pull_request.sh PAGE
#
# The page comes from a run of somebody's code and is treated so: cut to size, and it calls nobody.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

page=${1:?the page}
require GITHUB_REPOSITORY "owner/name of the repository"
require HEAD_OWNER "who owns the branch"
require HEAD_BRANCH "the branch"
require HEAD_SHA "its commit that was measured"
[ -s "$page" ] || refuse "$page is empty or missing"
marker='<!-- apus: benchmarks -->'
json=(--header "Accept: application/vnd.github+json")

query=$(jq -rn --arg head "$HEAD_OWNER:$HEAD_BRANCH" '"state=open&per_page=100&head=" + ($head | @uri)')
number=$(github GET "/repos/$GITHUB_REPOSITORY/pulls?$query" "${json[@]}" \
    | jq -r --arg sha "$HEAD_SHA" 'first(.[] | select(.head.sha == $sha)).number // empty')
[ -n "$number" ] || { echo "no open pull request is at $HEAD_SHA: it has moved on, or is closed"; exit 0; }

# Under GitHub's limit of 65,536 characters. A mention, a reference to an issue and a comment's mark are broken up.
body=$(jq -Rs --arg marker "$marker" --arg sha "$HEAD_SHA" '
    .[:60000] | gsub("@(?<next>[A-Za-z0-9])"; "@\u200b\(.next)") | gsub("(?<mark>#|GH-)(?<digit>[0-9])"; "\(.mark)\u200b\(.digit)")
    | gsub("<!--"; "<\u200b!--") | {body: "\($marker)\nBenchmarks of \($sha)\n\n\(.)"}' "$page")
comment=$(github GET "/repos/$GITHUB_REPOSITORY/issues/$number/comments?per_page=100" "${json[@]}" \
    | jq -r --arg marker "$marker" \
        'first(.[] | select(.user.login == "github-actions[bot]" and (.body | startswith($marker)))).url // empty')
if [ -n "$comment" ]; then
    github PATCH "$comment" "${json[@]}" --data "$body" | jq -r '"changed: \(.html_url)"'
else
    github POST "/repos/$GITHUB_REPOSITORY/issues/$number/comments" "${json[@]}" --data "$body" | jq -r '"written: \(.html_url)"'
fi
