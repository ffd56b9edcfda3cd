#!/usr/bin/env bash
# From a fresh Debian or Ubuntu machine to pictures: installs what is missing
# (deploy/setup.sh says what), builds, starts the server with its own model on a
# free loopback port, segments two photos and a drawing through it, and says where
# the pictures lie.
#
#   deploy/demo.sh [--bin DIR] [--out DIR]
#
#   --bin DIR   programs that are built already: no set-up, no build
#   --out DIR   where the results go (out/demo)
#
# Environment: SEMSAM_WEIGHTS, weights for the server instead of its own;
# SEMSAM_DEMO_WAIT_S and SEMSAM_DEMO_STOP_S, how many seconds the server may take to be
# ready (120) and to stop (10).
set -euo pipefail
# shellcheck source=deploy/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

weights=${SEMSAM_WEIGHTS:-default}
wait_s=${SEMSAM_DEMO_WAIT_S:-120}
stop_s=${SEMSAM_DEMO_STOP_S:-10}
pictures=$SEMSAM_ROOT/deploy/demo
bin=
out=$SEMSAM_ROOT/out/demo
server=
scratch=

while (($#)); do
  case $1 in
    --bin | --out)
      (($# >= 2)) || die "$1 needs a folder"
      if [[ $1 == --bin ]]; then bin=$2; else out=$2; fi
      shift 2
      ;;
    *) die "unknown option $1; see the head of deploy/demo.sh" ;;
  esac
done

build() {
  configure release
  (cd "$SEMSAM_ROOT" && cmake --build --preset release -j "$(nproc)" --target semsam-server semsam)
}

# SIGTERM, a time of grace, then SIGKILL. Returns the server's own status.
stop_server() {
  local pid=$server status=0 watchdog
  server=
  [[ -n $pid ]] || return 0
  kill -TERM "$pid" 2>/dev/null || true
  (
    # Its own sleep ends with it; nothing of it may hold the caller's output.
    trap 'kill "$!" 2>/dev/null; exit' TERM
    sleep "$stop_s" &
    wait "$!"
    kill -KILL "$pid"
  ) >/dev/null 2>&1 &
  watchdog=$!
  wait "$pid" || status=$?
  kill "$watchdog" 2>/dev/null || true
  wait "$watchdog" 2>/dev/null || true
  return "$status"
}

clean_up() {
  local status=$?
  stop_server || true
  # Where the machine has just reused a process id, bash may say that it has lost one.
  if [[ -n $scratch ]]; then { rm -rf -- "$scratch"; } 2>/dev/null || true; fi
  if ((status != 0)) && [[ -s $out/server.log ]]; then
    printf 'the last lines of %s:\n' "$out/server.log" >&2
    tail -n 20 -- "$out/server.log" >&2
  fi
}

start_server() {
  scratch=$(mktemp -d)
  "$bin/semsam-server" --weights "$weights" --listen 127.0.0.1:0 --port_file "$scratch/port" \
    --drain_delay 0s >"$out/server.log" 2>&1 &
  server=$!
}

# Sets `address` once the server answers that it is serving.
wait_for_server() {
  local deadline=$((SECONDS + wait_s)) port=
  until [[ -n $port ]] && "$bin/semsam" health --server "127.0.0.1:$port" --timeout 5 \
    >/dev/null 2>&1; do
    kill -0 "$server" 2>/dev/null || die 'the server ended before it was ready'
    ((SECONDS < deadline)) || die "the server was not ready within $wait_s s"
    sleep 0.1
    if [[ -s $scratch/port ]]; then port=$(<"$scratch/port"); fi
  done
  address=127.0.0.1:$port
}

# Sets the flags for words that the model can take, for each picture.
choose_words() {
  local info
  info=$("$bin/semsam" info --server "$address")
  photo_words=() drawing_words=() all_words=()
  [[ $info == *'object labels'* && $info == *'part labels'* ]] || return 0
  photo_words=(--objects 'cat,dog,person' --parts 'head,ear,eye,nose,tail')
  drawing_words=(--objects 'house,tree,car,cat,sun,cloud'
                 --parts 'roof,door,window,wheel,head,ear')
  all_words=("${drawing_words[@]}")
  grep -Eq '^own words +[1-9]' <<<"$info" || return 0
  photo_words[1]=@model
  # What it is not sure of is better left unsaid.
  all_words=(--objects @model --parts @model --min-score 0.25)
}

# segment TITLE PICTURE FOLDER FLAG...
segment() {
  say "-- $1"
  "$bin/semsam" segment --server "$address" --image "$pictures/$2" --out-dir "$3" "${@:4}"
}

segment_all() {
  # A small model is never as sure as the published thresholds ask for.
  local everything=(--everything --points-per-side 16 --min-iou 0.6 --min-stability 0.6)
  segment 'a photo, one click at six levels, named by the words of the model' \
    chelsea.jpg "$out" --click 190,90 "${photo_words[@]}"
  segment 'a drawing, two clicks and a box, words of our own' \
    street.png "$out" --click 120,160 --click 470,420 --box 214,308,326,444 "${drawing_words[@]}"
  segment 'everything in the drawing' \
    street.png "$out/everything" "${everything[@]}" "${all_words[@]}"
  segment 'everything in a photo' \
    astronaut.jpg "$out/everything" "${everything[@]}" "${all_words[@]}"
}

if [[ -z $bin ]]; then
  phase 'set-up' setup_build
  phase 'build' build
  bin=$SEMSAM_ROOT/build/release/bin
fi
[[ -x $bin/semsam-server && -x $bin/semsam ]] || die "no semsam-server and semsam in $bin"

mkdir -p -- "$out/everything"
rm -f -- "$out"/{,everything/}*.{png,json} "$out/server.log"
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say '== demo'
if [[ $weights == formula:* ]]; then
  say "note: $weights stands for untrained weights, the same on every machine: masks mean nothing"
fi
start_server
wait_for_server
say "server: ready at $address"
choose_words
segment_all
stop_server || die "the server ended with status $?"
say 'server: stopped'

shopt -s nullglob
drawn=("$out"/{,everything/}*.png)
((${#drawn[@]} > 0)) || die "no picture in $out"
printf 'picture: %s\n' "${drawn[@]}"
