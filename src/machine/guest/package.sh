#!/bin/bash
# What steps share that store the runner's package: it travels appended to lib.sh.
#
# PACKAGES/VERSION is whole: package.tar.gz, and its checksum in sha256. One that is on its way has another name, so that a cut-off download is
# gone on with.
# shellcheck source=lib.sh
if [ -z "${STEP_FOLDER:-}" ]; then . "${0%/*}/lib.sh"; fi

version=${given[version]:-}
[[ $version =~ ^[0-9]+(\.[0-9]+)+$ ]] || fail "$version is no version of the runner"
[[ ${given[sha256]:-} =~ ^[0-9a-f]{64}$ ]] || fail "${given[sha256]:-} is no SHA-256"
STORED=$PACKAGES/$version
DRAFT=$PACKAGES/$version.new

# sha256_of FILE
sha256_of() {
  local sum=
  if [ -f "$1" ]; then read -r sum _ < <(sha256sum <"$1") || true; fi
  printf '%s\n' "$sum"
}

# Ends the step if this package is kept already: its bytes are counted again.
answer_if_kept() {
  local sum=
  if [ ! -f "$STORED/package.tar.gz" ]; then return 0; fi
  { read -r sum <"$STORED/sha256"; } 2>/dev/null || true
  if [ "$sum" = "${given[sha256]}" ] && [ "$(sha256_of "$STORED/package.tar.gz")" = "$sum" ]; then
    drop_others
    say kind kept
    say version "$version"
    exit 0
  fi
}

# Opens the draft, and takes drafts of other versions away.
open_draft() {
  local folder
  umask 077
  mkdir -p "$DRAFT"
  for folder in "$PACKAGES"/*.new; do
    if [ "$folder" != "$DRAFT" ]; then rm -rf "$folder"; fi
  done
}

# bytes_of FILE: 0 if there is none.
bytes_of() {
  local bytes=0
  if [ -f "$1" ]; then bytes=$(stat -c %s "$1"); fi
  printf '%s\n' "$bytes"
}

not_fetched() {
  say reason "$1"
  otherwise not-fetched "$2"
}

# A runner that has room for jobs goes before a package that it may need one day. What is there already is counted as free.
prove_room_for_package() {
  local blocks size free
  read -r blocks size < <(stat -f -c '%a %S' "$DRAFT")
  free=$((blocks * size + $(bytes_of "$DRAFT/package.tar.gz")))
  if [ "$free" -lt "${given[least_free_bytes]}" ]; then
    rm -rf "$DRAFT"
    not_fetched no-room "$((free >> 20)) MiB are free under $PACKAGES, and $((given[least_free_bytes] >> 20)) MiB must be"
  fi
}

# Puts the draft in the place of every other package, if its bytes are what they must be.
store_draft() {
  local sum
  sum=$(sha256_of "$DRAFT/package.tar.gz")
  if [ "$sum" != "${given[sha256]}" ]; then
    rm -rf "$DRAFT"
    not_fetched wrong-checksum "its SHA-256 is $sum, and must be ${given[sha256]}"
  fi
  printf '%s\n' "$sum" >"$DRAFT/sha256"
  sync "$DRAFT/package.tar.gz" "$DRAFT/sha256" "$DRAFT"
  rm -rf "$STORED"
  mv -T "$DRAFT" "$STORED"
  sync "$PACKAGES"
  drop_others
  say kind fetched
  say version "$version"
}

drop_others() {
  local folder
  for folder in "$PACKAGES"/*; do
    if [ "$folder" != "$STORED" ]; then rm -rf "$folder"; fi
  done
}
