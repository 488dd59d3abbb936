#!/bin/bash
# Marks the runner as drained, and keeps its service from starting at boot. What runs goes on. A mark that is there keeps its words,
# but for one for want of room: Runward takes that away by itself, and a person's is to stay.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

write_mark() {
  printf '%s\n%s\n%s\n' "$(date +%s)" "${given[by]}" "${given[reason]}" | keep "$STATE/drained" && sync "$STATE"
}

enter_directory
read_unit
prove_own_unit
own_state
if { ! is_drained || is_drained_for_room; } && ! write_mark 2>/dev/null; then
  prove_room
  fail "$STATE/drained could not be written"
fi
if is_loaded; then systemctl -q disable -- "$unit"; fi
say kind marked
