#!/bin/bash
# Takes a piece of the runner's package from standard input, in base64, and says how much is there; the last one completes it. A piece that is
# not the next one is left aside, so that whoever sends them goes on where it was cut off.
# shellcheck source=package.sh
. "${0%/*}/lib.sh"

# The record of the piece before is asked for by nobody any more.
if [[ ${given[earlier]} =~ ^[A-Za-z0-9._:-]+$ ]]; then rm -rf "/var/lib/runward/act.${given[earlier]}"; fi
answer_if_kept
open_draft
archive=$DRAFT/package.tar.gz
if [ "${given[offset]}" = 0 ]; then prove_room_for_package; fi
if [ "$(bytes_of "$archive")" -gt "${given[bytes]}" ]; then rm -f "$archive"; fi
if [ "$(bytes_of "$archive")" = "${given[offset]}" ] && [ "${given[piece_bytes]}" -gt 0 ]; then
  base64 -d >"$DRAFT/piece"
  if [ "$(bytes_of "$DRAFT/piece")" != "${given[piece_bytes]}" ]; then fail "a piece of ${given[piece_bytes]} bytes came with $(bytes_of "$DRAFT/piece")"; fi
  cat "$DRAFT/piece" >>"$archive"
  rm -f "$DRAFT/piece"
fi
if [ "$(bytes_of "$archive")" = "${given[bytes]}" ]; then
  store_draft
else
  say kind more
  say have "$(bytes_of "$archive")"
  exit "$OTHERWISE"
fi
