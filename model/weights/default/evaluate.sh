#!/usr/bin/env bash
# The figures of MODEL_CARD.md: clicks on the held-out tenth of every source, on the
# packs' held-out parts, and on drawn scenes; then the card's table.
#
#   model/weights/default/evaluate.sh DATA PACKS OUT [options of semsam-eval]
#
#   DATA, PACKS   as for model/training/recipes/semsam-lite.json
#   OUT           folder for the results
#
# Environment: SEMSAM_EVAL, the program; SEMSAM_WEIGHTS, a weight file (default).
set -euo pipefail

(($# >= 3)) || {
  sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2
  exit 2
}
data=$1 packs=$2 out=$3
shift 3
here=$(cd -- "$(dirname -- "$0")" && pwd)
eval_program=${SEMSAM_EVAL:-$here/../../../build/release/bin/semsam-eval}
weights=${SEMSAM_WEIGHTS:-default}

specs() {
  local form=$1 folder=$2 name joined=
  shift 2
  for name in "$@"; do joined+=${joined:+,}${form//@/$folder/$name}; done
  printf '%s' "$joined"
}

run() {
  local name=$1 sets=$2
  shift 2
  "$eval_program" --weights "$weights" --data "$sets" --out "$out/$name" "$@"
}

run data "$(specs @ "$data" pets cats facades cars people garments coco coco_panoptic)" \
  --no-vocabulary "$@"
run packs "$(specs folder:images=@ "$packs" pets-held-out people-held-out faces-held-out \
  cutouts-held-out clipart-held-out icons-unseen-style icons-unseen-names)" \
  --split all --limit 100 --no-vocabulary "$@"
run scenes scenes:count=100,side=320,seed=900001 --split all --no-vocabulary "$@"
python3 "$here/table.py" "$out"/{data,packs,scenes}/results.json
