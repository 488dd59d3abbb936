#!/bin/bash
# Marks the runner as drained, and keeps its service from starting at boot. What runs goes on. A mark that is there keeps its words,
# but for one for want of room: Runward takes that away by itself, and a person's is to stay. Labels are remembered in a mark
# that is there.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

write_mark() {
  printf '%s\n' "${words[@]}" | keep "$STATE/drained" && sync "$STATE"
}

enter_directory
read_unit
prove_own_unit
own_state
if [ -n "${given[labels]:-}" ] && ! is_drained; then otherwise refused-unfit 'the runner is not marked as drained any more'; fi
old=()
if is_drained; then mapfile -t -n 4 old < <(drain_mark); fi
words=("${old[0]:-}" "${old[1]:-}" "${old[2]:-}" "${given[labels]:-${old[3]:-}}")
if ! is_drained || [ "${words[1]}" = room ]; then
  words[0]=$(date +%s)
  words[1]=${given[by]}
  words[2]=${given[reason]}
fi
if [ "${words[*]}" != "${old[*]:0:4}" ] && ! write_mark 2>/dev/null; then
  prove_room
  fail "$STATE/drained could not be written"
fi
if is_loaded; then systemctl -q disable -- "$unit"; fi
say kind marked
