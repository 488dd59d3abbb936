#!/bin/bash
# Marks the runner as drained, and keeps its service from starting at boot. What runs goes on. A mark that is there keeps its words,
# but for one for want of room: Runward takes that away by itself, and a person's is to stay.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

# By a new file and a move: a link that the user put there is not followed.
write_mark() {
  rm -rf "$DRAIN_MARK.new"
  (
    set -o noclobber
    umask 022
    printf '%s\n%s\n' "$(date +%s)" "${given[reason]}" >"$DRAIN_MARK.new"
  ) && sync "$DRAIN_MARK.new" && mv -fT -- "$DRAIN_MARK.new" "$DRAIN_MARK" && sync .
}

# The words of DRAINED_FOR_ROOM in src/domain/upkeep.ts.
is_for_room() {
  [[ $(drain_mark) == *$'\n''no room on the disk'* ]]
}

enter_directory
read_unit
if [ "$load" = foreign ]; then fail "$unit works in $works_in and not in $directory: another runner's unit is left alone"; fi
if { ! is_drained || is_for_room; } && ! write_mark 2>/dev/null; then
  prove_room
  fail "$directory/$DRAIN_MARK could not be written"
fi
if is_loaded; then systemctl -q disable -- "$unit"; fi
say kind marked
