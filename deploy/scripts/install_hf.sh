#!/usr/bin/env bash
# Installs `hf`, Hugging Face's command line, in an environment of its own, each package by its hash: it is given a token that
# may write.
#
#     deploy/scripts/install_hf.sh DIRECTORY    (on GitHub, later steps find hf in their PATH)
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

directory=${1:?the directory to install into}
python3 -m venv "$directory"
"$directory/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
    --requirement "$(dirname "$0")/hf-requirements.txt"
bin=$(cd "$directory/bin" && pwd)
echo "$bin" >>"${GITHUB_PATH:-/dev/null}"
"$bin/hf" version
