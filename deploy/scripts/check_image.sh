#!/usr/bin/env bash
# Runs an image as it should be run, with a file system that cannot be written and no capabilities, and asks it.
#
#     deploy/scripts/check_image.sh IMAGE [check_deployment.sh's OPTION…]
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

image=${1:?the image}
shift
engine=${CONTAINER_ENGINE:-docker}
container=
remove() { [ -z "$container" ] || "$engine" rm --force --volumes "$container" >/dev/null; }
trap remove EXIT

user=$("$engine" image inspect --format '{{.Config.User}}' "$image")
[ "$user" = 1000:1000 ] || fail "it runs as \"$user\", not as 1000:1000"

# On a file system that could be written, so that the files' own modes speak.
# shellcheck disable=SC2016  # $HF_HOME is the container's.
writable=$("$engine" run --rm --entrypoint bash "$image" -c \
    'find / -xdev -not -type l -not -path "/proc/*" -not -path "$HF_HOME" -writable 2>/dev/null || true')  # Not all of it may be looked into.
[ -z "$writable" ] || fail "not only the model cache can be written, but: $writable"
# shellcheck disable=SC2016  # $HF_HOME is the container's.
"$engine" run --rm --entrypoint bash "$image" -c 'touch "$HF_HOME/file"' || fail "the model cache cannot be written"

container=$("$engine" run --detach --read-only --cap-drop ALL --security-opt no-new-privileges \
    --publish 127.0.0.1::7860 "$image")
address=$("$engine" port "$container" 7860 | head -n 1)
if ! "$(dirname "$0")/check_deployment.sh" "http://$address" --timeout 120 "$@"; then
    "$engine" logs "$container" >&2
    fail "the server of $image does not do what it should"
fi
"$engine" exec "$container" /opt/apus/healthcheck.sh || fail "its health check fails though it is ready"
if "$engine" exec "$container" /opt/apus/healthcheck.sh 1; then fail "its health check passes where nothing listens"; fi

"$engine" stop -t 30 "$container" >/dev/null
status=$("$engine" inspect --format '{{.State.ExitCode}}' "$container")
[ "$status" = 0 ] || fail "SIGTERM ended it with status $status"
echo "$image: runs as $user on a read-only file system, is ready, answers, and stops with status 0"
