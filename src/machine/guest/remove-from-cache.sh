#!/bin/bash
# Removes from the actions cache between two jobs: what is to go is moved away while the runner is frozen, and deleted afterwards.
# shellcheck source=disk.sh
. "${0%/*}/lib.sh"

# Sets `damages` to what the asked paths look like, a record each, before any of it is removed, and writes it down for an attempt that follows.
record_damage() {
  local path entry
  damages=()
  if [ "${given[kind]}" != damaged ]; then return 0; fi
  if [ -n "$recorded" ]; then
    mapfile -d '' -t damages < <(head -n 1 -- "/dev/fd/$trash/$DAMAGE" | base64 -d)
    return 0
  fi
  for path in "${asked[@]}"; do
    entry=$(entry_of "$path" && printf x)
    read_damage "$path" "${entry%x}"
  done
  { { printf '%s\0' "${damages[@]}" | base64 -w 0 && printf '\n%s\n' "${given[paths64]}"; } >"/dev/fd/$trash/$DAMAGE"; } 2>/dev/null || true
}

# Sets `recorded` where an attempt for the very same paths was cut off.
read_recorded() {
  local paths=
  recorded=
  if [ "${given[kind]}" != damaged ]; then return 0; fi
  { { read -r _ && read -r paths; } <"/dev/fd/$trash/$DAMAGE"; } 2>/dev/null || return 0
  if [ "$paths" = "${given[paths64]}" ]; then recorded=yes; fi
}

# read_damage PATH ENTRY: `STATE OWNER MODE IMMUTABLE PATH`.
read_damage() {
  local path=$1 entry=$2 state owner=- mode=- immutable=no
  state=$(state_of "$CACHE/$path" "$entry")
  if [ "$state" != missing ]; then
    read -r owner mode < <(stat -c '%U %a' -- "$entry")
    if holds_immutable "$entry"; then immutable=yes; fi
  fi
  damages+=("$state $owner $mode $immutable $path")
}

# Whether it or something in it is immutable.
holds_immutable() {
  [ -n "$({ lsattr -d -- "$1" && timeout 5 lsattr -aR -- "$1"; } 2>/dev/null | grep -m 1 '^[-A-Za-z]*i[-A-Za-z]* ' || true)" ]
}

# state_of PATH ENTRY
state_of() {
  if [ -z "$2" ] || ! is_there "$2" || ! is_there "$1"; then
    printf 'missing\n'
  elif is_folder "$2" && [ -z "$(find "$2" -mindepth 1 -print -quit)" ]; then
    printf 'empty\n'
  elif ! is_readable "$2"; then
    printf 'unreadable\n'
  elif [ -d "$1" ] && ! has_manifest "$1"; then
    printf 'no-manifest\n'
  else
    printf 'whole\n'
  fi
}

# https://docs.github.com/actions/reference/workflows-and-actions/metadata-syntax
has_manifest() {
  [ -f "$1/action.yml" ] || [ -f "$1/action.yaml" ] || [ -f "$1/Dockerfile" ]
}

# Whether the runner's user can read all of it.
is_readable() {
  [ -z "$(timeout 10 runuser -u "$user" -- find "$1" ! -type l '(' ! -readable -o -type d ! -executable ')' -print -quit 2>&1)" ]
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

enter_directory
prove_between_jobs runner
if ! is_there _work; then
  ask_user 'mkdir -p _work' || fail "$directory/_work could not be made as $user"
fi
read -r free block inodes all < <(stat -f -c '%a %S %d %c' _work)
trash_at=_work
if is_folder "$CACHE" && is_mounted "$CACHE"; then trash_at=$CACHE; fi
open_trash "$trash_at"
read_recorded
read_entries
measure "${entries[@]}"
choose_entries
add_up "${chosen[@]}"
record_damage
make_groups "$((${#chosen[@]} + 1))"

hold runner
if [ "$is_all" = yes ]; then take_all; else take_chosen; fi
release
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
