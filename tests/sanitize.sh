#!/usr/bin/env bash
# Builds a sanitizer preset incrementally and runs its tests: tests/sanitize.sh
# asan|tsan [ctest option...]. Also a test of the release build.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

preset=${1:?usage: tests/sanitize.sh asan|tsan [ctest option...]}
shift
jobs=$(nproc)

# The sanitizers of gcc 12 and 13 cannot start where the kernel spreads its
# mappings widely (vm.mmap_rnd_bits above 28); without randomisation they can.
# A container may forbid the change: then they run as they are.
run=()
if setarch "$(uname -m)" -R true 2>/dev/null; then run=(setarch "$(uname -m)" -R); fi

cmake --preset "$preset" -Wno-dev --log-level=WARNING
# The build too starts the test programs, to list their tests.
"${run[@]}" cmake --build --preset "$preset" -j "$jobs"
"${run[@]}" ctest --preset "$preset" -j "$jobs" "$@"
