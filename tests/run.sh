#!/usr/bin/env bash
# Sets up, builds and tests everything on a fresh Debian or Ubuntu machine:
#
#   tests/run.sh [ctest option...]      e.g. tests/run.sh -R model_base
#
# deploy/setup.sh says what is installed. Only what changed is built again. The
# last lines are ctest's summary.
set -euo pipefail
# shellcheck source=deploy/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../deploy/setup.sh"
cd -- "$SEMSAM_ROOT"

jobs=$(nproc)

phase 'set-up' setup_test
venv=$(venv_dir)
phase 'configure' configure release "-DSEMSAM_PYTHON=$venv/bin/python"
phase 'build' cmake --build --preset release -j "$jobs"
say '== tests'
exec ctest --preset release -j "$jobs" "$@"
