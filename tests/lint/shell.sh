#!/usr/bin/env bash
# Runs shellcheck over every shell script of the project.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

if ! command -v shellcheck >/dev/null; then
  echo 'no shellcheck: deploy/setup.sh --test installs it'
  exit 77
fi
mapfile -d '' scripts < <(find . -path ./build -prune -o -path ./out -prune -o -path ./.git -prune \
  -o -type f \( -name '*.sh' -o -path './.ci/run' \) -print0)
((${#scripts[@]} > 0))
shellcheck --external-sources --source-path=SCRIPTDIR "${scripts[@]}"
echo "${#scripts[@]} scripts"
