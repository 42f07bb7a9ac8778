#!/usr/bin/env bash
# The container's HEALTHCHECK: exit status 0 where the server beside it is ready, 1 where not. Bash alone asks, so that the
# image needs no HTTP client.
#
#     deploy/scripts/healthcheck.sh [PORT]    (default: as the server itself: $APUS_PORT, $AIP_HTTP_PORT, 7860)
set -u
port=${1:-${APUS_PORT:-}}
# A Service named apus makes Kubernetes set APUS_PORT to a URL.
case $port in "" | *://*) port=${AIP_HTTP_PORT:-7860} ;; esac
read_seconds=3

# In a group, since what exec itself complains of would not be caught.
{ exec 3<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null || { echo "nothing listens on port $port"; exit 1; }
printf 'GET /health/ready HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nConnection: close\r\n\r\n' "$port" >&3
read -r -t "$read_seconds" -u 3 _ status _ || { echo "no answer on port $port within $read_seconds s"; exit 1; }
echo "/health/ready: $status"
[ "$status" = 200 ]
