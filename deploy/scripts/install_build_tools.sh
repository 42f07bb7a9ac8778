#!/usr/bin/env bash
# Installs what the workflows' jobs need beside a Swift toolchain, where it is missing: Debian or Ubuntu, as root or with sudo.
# What Apus itself needs, `make setup` installs.
#
#     deploy/scripts/install_build_tools.sh [PACKAGE…]
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

packages=(ca-certificates curl git jq make "$@")
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)

missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    "${as_root[@]}" apt-get update -q
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
fi
# In a container, the sources belong to the machine's user, which git takes for a trap.
[ -z "${GITHUB_WORKSPACE:-}" ] || git config --global --add safe.directory "$GITHUB_WORKSPACE"
echo "installed: ${packages[*]}"
