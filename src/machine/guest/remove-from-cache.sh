#!/bin/bash
# Removes from the actions cache between two jobs: what is to go is moved away while the runner is paused, and deleted afterwards.
# shellcheck source=disk.sh
. "${0%/*}/lib.sh"

# Sets `damages` to what is named as damaged looks like before any of it is removed, and writes it down for an attempt that follows.
record_damage() {
  if [ ${#damages[@]} -eq 0 ]; then return 0; fi
  if [ -n "$recorded" ]; then
    mapfile -d '' -t damages < <(head -n 1 -- "/dev/fd/$trash/$DAMAGE" | base64 -d)
    return 0
  fi
  { { printf '%s\0' "${damages[@]}" | base64 -w 0 && printf '\n%s\n' "${given[named64]}"; } >"/dev/fd/$trash/$DAMAGE"; } 2>/dev/null || true
}

# Sets `recorded` where an attempt for the very same was cut off.
read_recorded() {
  local named=
  recorded=
  if [ "${given[kind]}" != damaged ]; then return 0; fi
  { { read -r _ && read -r named; } <"/dev/fd/$trash/$DAMAGE"; } 2>/dev/null || return 0
  if [ "$named" = "${given[named64]}" ]; then recorded=yes; fi
}

# Moves the chosen entries, notes first: what is not noted as whole is taken for nothing by the runner.
take_chosen() {
  local path paths=()
  for path in "${chosen[@]}"; do paths+=("$path.completed" "$path"); done
  take_paths "${paths[@]}"
}

# Moves the whole cache; one that is a file system of its own stays, empty.
take_all() {
  local path paths=()
  if [ "$trash_folder" = _work ]; then
    take_paths "$CACHE"
    return 0
  fi
  shopt -s nullglob dotglob
  for path in "$CACHE"/*; do
    if [ "$path" != "$CACHE/$TRASH" ]; then paths+=("$path"); fi
  done
  shopt -u nullglob dotglob
  take_paths "${paths[@]}"
}

# Whether anything is to go.
is_something_to_go() {
  [ ${#chosen[@]} -gt 0 ] || { [ "$is_all" = yes ] && is_folder "$CACHE" && [ -n "$(find "$CACHE" -mindepth 1 -print -quit)" ]; }
}

enter_directory
prove_drain_seen
purpose=remove-from-cache
find_choice
# shellcheck source=/dev/null
. "$choice" || otherwise not-paused 'it was let go meanwhile'
if [ "$choice" = /dev/null ]; then prepare_removal; fi
if is_something_to_go; then begin_between_jobs remove-from-cache; fi
read -r free block inodes all < <(stat -f -c '%a %S %d %c' _work)
choose_trash
open_trash "$trash_at"
read_recorded
record_damage
make_groups "$((${#chosen[@]} + 1))"
if [ "$is_all" = yes ]; then take_all; else take_chosen; fi
let_go
close_trash
if [ "${given[kind]}" = unused ] && [ "$unmeasured" -eq 0 ]; then
  { printf '%s\n' "$EPOCHSECONDS" >"$CLEANED"; } 2>/dev/null || true # a full disk takes none, and is cleaned once more
fi

say kind removed
say isAll "$is_all"
say entries "${#chosen[@]}"
say bytes "$total"
say unmeasured "$unmeasured"
largest_first "${chosen[@]}"
say_list names 50 "${sorted[@]/#"$CACHE/"/}"
say_list damage 200 "${damages[@]}"
say freeBytes "$((free * block))"
say freeInodes "$(if [ "$all" -gt 0 ]; then printf '%s' "$inodes"; fi)"
