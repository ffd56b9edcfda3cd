#!/usr/bin/env bash
# Gathers what a program needs at run time: docker/collect.sh PROGRAM DEST
#
#   DEST/root/usr/local/bin/...   the program
#   DEST/root/...                 shared libraries that no package owns (LibTorch),
#                                 where the program looks for them
#   DEST/packages                 the distribution's packages that own the rest
set -euo pipefail

program=${1:?usage: docker/collect.sh PROGRAM DEST}
dest=${2:?usage: docker/collect.sh PROGRAM DEST}

# The package that owns a file. A merged /usr lists it as /lib or /usr/lib; an
# alternative (libblas.so.3) is owned where its links end.
owner() {
  local path real
  real=$(readlink -f -- "$1")
  for path in "$1" "/usr$1" "${1#/usr}" "$real" "${real#/usr}"; do
    if dpkg-query -S "$path" 2>/dev/null | cut -d: -f1; then return; fi
  done
  return 1
}

install -D -m 755 -t "$dest/root/usr/local/bin" -- "$program"
strip --strip-unneeded "$dest/root/usr/local/bin/$(basename -- "$program")"
: >"$dest/packages.all"

libraries=$(ldd "$program")
if grep -q 'not found' <<<"$libraries"; then
  printf '%s\n' "$libraries" >&2
  exit 1
fi
# "name => /path (address)"; the loader and the vDSO have no arrow.
while read -r library; do
  if package=$(owner "$library"); then
    printf '%s\n' "$package" >>"$dest/packages.all"
  else
    # Under the name by which it was found: its run path stays right.
    install -D -m 644 -- "$library" "$dest/root$library"
  fi
done < <(sed -n 's/.* => \(\/[^ ]*\) (.*/\1/p' <<<"$libraries")

sort -u -- "$dest/packages.all" >"$dest/packages"
rm -- "$dest/packages.all"
