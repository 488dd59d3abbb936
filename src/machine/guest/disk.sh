#!/bin/bash
# Second half of the prelude, for steps that look at what a runner's disk holds or remove it: it travels appended to lib.sh.
#
# Root works here among files of the runner's user, any of which may be a link by the next moment. So nothing is removed by its path: a folder
# is entered, seen to lie where it was looked for, and what goes is renamed out of it into root's own folder, and deleted there.
# Paths are relative to the runner's directory, or absolute without a link on the way.
# shellcheck source=lib.sh
if [ -z "${STEP_FOLDER:-}" ]; then . "${0%/*}/lib.sh"; fi

# --- lists -----------------------------------------------------------------------------------------------------------------------------------

# How much of a list an answer holds, in bytes before base64; the driver hands over 64 KiB of all answers.
ENOUGH_OF_LIST=20000

# say_list NAME MOST RECORD …: so many of the records at most, and as many as an answer holds; each ends with NUL.
say_list() {
  local name=$1 most=$2 record length=0 fitting=()
  shift 2
  for record in "${@:1:most}"; do
    length=$((length + ${#record} + 1))
    if [ "$length" -gt "$ENOUGH_OF_LIST" ]; then break; fi
    fitting+=("$record")
  done
  say "${name}64" "$(if [ ${#fitting[@]} -gt 0 ]; then printf '%s\0' "${fitting[@]}" | base64 -w 0; fi)"
}

# --- folders ---------------------------------------------------------------------------------------------------------------------------------

# in_words PATH: as a person finds it.
in_words() {
  case $1 in
    /*) printf '%s\n' "$1" ;;
    *) printf '%s\n' "$directory/$1" ;;
  esac
}

is_there() {
  [ -e "$1" ] || [ -L "$1" ]
}

# is_folder PATH: and no link to one.
is_folder() {
  [ -d "$1" ] && [ ! -L "$1" ]
}

# Whether a folder lies on another file system than the one that holds it.
is_mounted() {
  [ "$(stat -c %d -- "$1")" != "$(stat -c %d -- "$1/..")" ]
}

# --- what is used ----------------------------------------------------------------------------------------------------------------------------

# How long files may be walked over, and the runner's logs searched, in seconds.
WALK_SECONDS=${given[walk_seconds]:-30}
SEARCH_SECONDS=15

# measure PATH …: sets `bytes_of` each, and `used_at` to the epoch second of the newest access or change inside; `-` where the walk did not end
# in time. To list a folder counts as access to it, so only what is no folder tells one.
declare -A bytes_of=() used_at=()
measure() {
  local path bytes newest at=0 there=() is_ended=''
  for path in "$@"; do
    bytes_of["$path"]=0 used_at["$path"]=0
    if is_there "$path"; then there+=("$path"); fi
  done
  if [ ${#there[@]} -eq 0 ]; then return 0; fi
  while read -r bytes newest; do
    if [ "$bytes" = end ]; then
      is_ended=yes
      break
    fi
    path=${there[at]}
    bytes_of["$path"]=$bytes used_at["$path"]=$newest
    at=$((at + 1))
  done < <(walk "${there[@]}")
  if [ -n "$is_ended" ] && [ "$at" -ne ${#there[@]} ]; then at=0; fi # one of them went meanwhile, and nobody knows which
  for path in "${there[@]:at}"; do bytes_of["$path"]=- used_at["$path"]=-; done
}

# walk PATH …: a line for each path with its bytes and its newest use, and `end`. Each path begins with depth 0; no name is printed, since it may
# hold anything.
walk() {
  {
    timeout "$WALK_SECONDS" nice -n 19 find -P "$@" -xdev -printf '%d %y %A@ %C@ %T@ %b\n' 2>/dev/null || [ $? -ne 124 ] || exit 0
    printf 'end\n'
  } | awk '
    function tell() { if (NR > 1) printf "%.0f %.0f\n", blocks * 512, int(newest) }
    $1 == "end" { tell(); print; exit }
    $1 == 0 { tell(); blocks = newest = 0 }
    { blocks += $6 }
    $2 != "d" && $3 > newest { newest = $3 }
    $4 > newest { newest = $4 }
    $5 > newest { newest = $5 }'
}

# is_unused PATH: whether it was measured, and nothing has used it for as long as is asked.
is_unused() {
  [ "${used_at["$1"]}" != - ] && [ "${used_at["$1"]}" -le $((EPOCHSECONDS - given[unused_seconds])) ]
}

# largest_first PATH …: sets `sorted` to them.
largest_first() {
  local path index=0 sizes=()
  sorted=()
  for path in "$@"; do
    sizes+=("${bytes_of["$path"]/-/0} $((index += 1))")
  done
  if [ $# -eq 0 ]; then return 0; fi
  while read -r _ index; do sorted+=("${!index}"); done < <(printf '%s\n' "${sizes[@]}" | sort -k 1,1rn -k 2,2n)
}

# Sets `total` to the bytes of the paths.
add_up() {
  local path
  total=0
  for path in "$@"; do total=$((total + ${bytes_of["$path"]/-/0})); done
}

# Sets `workspaces` to the folders of repositories in _work, which belong to the jobs.
read_workspaces() {
  local path
  workspaces=()
  if ! is_folder _work; then return 0; fi
  shopt -s nullglob
  for path in _work/*; do
    if [[ $path != _work/_* ]] && is_folder "$path"; then workspaces+=("$path"); fi
  done
  shopt -u nullglob
}

# --- the actions cache -----------------------------------------------------------------------------------------------------------------------

CACHE=_work/_actions

# Sets `entries`: versions of actions, also those that only a note is left of, and what downloads have left. A link is an entry, and what it
# leads to is not.
read_entries() {
  local owner name
  entries=()
  if ! is_folder _work || ! is_folder "$CACHE"; then return 0; fi
  shopt -s nullglob dotglob
  for owner in "$CACHE"/*; do
    case $owner in "$CACHE"/_temp_*) entries+=("$owner") && continue ;; esac
    if ! is_folder "$owner"; then continue; fi
    for name in "$owner"/*; do
      if is_folder "$name"; then add_versions "$name"; fi
    done
  done
  shopt -u nullglob dotglob
}

# add_versions FOLDER: a version may hold slashes, so a folder that is not noted as whole and holds notes is part of a name.
add_versions() {
  local path
  for path in "$1"/*; do
    if [ -L "$path" ]; then
      case $path in *.completed) ;; *) entries+=("$path") ;; esac
    elif [ -d "$path" ]; then
      if [ -e "$path.completed" ] || ! holds_notes "$path"; then entries+=("$path"); else add_versions "$path"; fi
    elif [[ $path == *.completed ]] && ! is_there "${path%.completed}"; then
      entries+=("${path%.completed}")
    fi
  done
}

holds_notes() {
  [ -n "$(find "$1" -xdev -mindepth 1 -maxdepth 4 -type f -name '*.completed' -print -quit)" ]
}

# Sets `chosen` to the entries that are to go, `damages` to what is named as damaged, `is_all` to whether the whole cache is to go, and `unmeasured` to how many may be unused, and were not told in
# time. They have been read and measured.
choose_entries() {
  local path
  chosen=() damages=() is_all=no unmeasured=0
  case ${given[kind]} in
    all) is_all=yes ;;
    unused)
      read_logs "${entries[@]}"
      for path in "${entries[@]}"; do
        if [ "${used_at["$path"]}" = - ]; then unmeasured=$((unmeasured + 1)); fi
        if is_unused "$path"; then chosen+=("$path"); fi
      done
      ;;
    damaged) choose_damaged ;;
  esac
  if [ "$is_all" = yes ]; then chosen=("${entries[@]}"); fi
}

# What is named as damaged is a job's word, so that an entry is chosen only if it looks so: named or not, nothing that is whole goes. Without names it is
# what the runner has noted as whole, and is empty or gone. Sets `damages` to a record each of what is named: `STATE OWNER MODE IMMUTABLE PATH`.
choose_damaged() {
  local name path entry state
  local -A seen=()
  mapfile -d '' -t names < <(printf '%s' "${given[named64]}" | base64 -d)
  if [ ${#names[@]} -eq 0 ]; then choose_broken; fi
  for name in "${names[@]}"; do
    path=${name#* }
    case /$path/ in //* | */../*) fail "$path is no path below the actions cache" ;; esac
    entry=$(entry_of "$path" && printf x)
    entry=${entry%x}
    state=$(state_of "${name%% *}" "$path" "$entry")
    record_look "$state" "$path" "$entry"
    if [ "$state" != whole ] && [ -n "$entry" ] && [ -z "${seen["$entry"]:-}" ]; then
      seen["$entry"]=yes
      chosen+=("$entry")
    fi
  done
}

choose_broken() {
  local entry state
  for entry in "${entries[@]}"; do
    if ! [ -e "$entry.completed" ]; then continue; fi
    state=$(state_of entry "${entry#"$CACHE/"}" "$entry")
    case $state in
      missing | empty)
        record_look "$state" "${entry#"$CACHE/"}" "$entry"
        chosen+=("$entry")
        ;;
    esac
  done
}

# record_look STATE PATH ENTRY
record_look() {
  local owner=- mode=- immutable=no
  if [ "$1" != missing ]; then
    read -r owner mode < <(stat -c '%U %a' -- "$3")
    if holds_immutable "$3"; then immutable=yes; fi
  fi
  damages+=("$1 $owner $mode $immutable $2")
}

# Whether it or something in it is immutable.
holds_immutable() {
  [ -n "$({ lsattr -d -- "$1" && timeout 5 lsattr -aR -- "$1"; } 2>/dev/null | grep -m 1 '^[-A-Za-z]*i[-A-Za-z]* ' || true)" ]
}

# state_of LACKS PATH ENTRY: LACKS is what is said to be missing at the path: the `entry`, or as GitHub has it there the `manifest` of a folder, or the
# `file` itself. Of an entry alone the path into it says nothing.
state_of() {
  local lacks=$1 place=$3
  if [ "$lacks" != entry ]; then place=$CACHE/$2; fi
  if [ -z "$3" ] || ! is_there "$3" || ! is_there "$place"; then
    printf 'missing\n'
  elif is_empty "$3"; then
    printf 'empty\n'
  elif ! is_readable "$3"; then
    printf 'unreadable\n'
  elif { [ "$CACHE/$2" = "$3" ] || [ "$lacks" = manifest ]; } && ! has_manifest "$place"; then
    printf 'no-manifest\n'
  else
    printf 'whole\n'
  fi
}

is_empty() {
  is_folder "$1" && [ -z "$(find "$1" -mindepth 1 -print -quit)" ]
}

# Names as the runner looks for them. https://github.com/actions/runner/blob/main/src/Runner.Worker/ActionManager.cs
has_manifest() {
  [ -f "$1/action.yml" ] || [ -f "$1/action.yaml" ] || [ -f "$1/Dockerfile" ] || [ -f "$1/dockerfile" ]
}

# Whether the runner's user can read all of it.
is_readable() {
  [ -z "$(timeout -k 2 10 runuser -u "$user" -- find "$1" ! -type l '(' ! -readable -o -type d ! -executable ')' -print -quit 2>&1)" ]
}

# entry_of PATH: the entry that a path below the cache leads to or into, or nothing.
entry_of() {
  local entry found=
  for entry in "${entries[@]}"; do
    if [[ $CACHE/$1/ == "$entry"/* ]] && [ ${#entry} -gt ${#found} ]; then found=$entry; fi
  done
  printf '%s' "$found"
}

# read_logs ENTRY …: raises `used_at` to when the newest of the runner's logs of jobs that names an entry was written; `-` where they could not be
# searched in time.
read_logs() {
  local path log seconds sought='' logs=()
  local -A written=()
  for path in "$@"; do
    if [[ $path != *$'\n'* ]]; then sought+=${path#_work/}$'\n'; fi
  done
  while read -r -d '' seconds log; do
    if [[ $log == *[:$'\n']* ]]; then continue; fi
    logs+=("./_diag/$log")
    written["./_diag/$log"]=${seconds%.*}
  done < <(if is_folder _diag; then find ./_diag -maxdepth 1 -type f -name 'Worker_*.log' -printf '%T@ %f\0' | sort -z -rn; fi)
  if [ -z "$sought" ] || [ ${#logs[@]} -eq 0 ]; then return 0; fi
  while IFS=: read -r log path; do
    if [ "$log" = late ]; then
      for path in "$@"; do used_at["$path"]=-; done
      return 0
    fi
    path=_work/$path
    if [ "${used_at["$path"]:--}" != - ] && [ "${written["$log"]}" -gt "${used_at["$path"]}" ]; then used_at["$path"]=${written["$log"]}; fi
  done < <(search_logs "${sought%$'\n'}" "${logs[@]:0:5000}")
}

# search_logs NAMES LOG …: `LOG:NAME` for the first of the logs that holds the name, and `late` at last where they were too much.
search_logs() {
  local sought=$1
  shift
  {
    timeout "$SEARCH_SECONDS" nice -n 19 grep -oHaF -f <(printf '%s\n' "$sought") -- "$@" || [ $? -ne 124 ] || printf 'late:\n'
  } | awk '{ name = substr($0, index($0, ":")) } !(name in seen) { seen[name] = 1; print }'
}

# --- between two jobs ------------------------------------------------------------------------------------------------------------------------

# Ends the step where any worker of this runner lives: one without a listener is no job, and may still write.
prove_no_worker() {
  local pid
  if is_forced; then return 0; fi
  for pid in $(processes_named Runner.Worker); do
    if is_of_runner "$pid"; then otherwise refused-busy "a Runner.Worker of $directory is left without a listener (process $pid)"; fi
  done
}

# Ends the step where a job runs, or has begun since the step did.
prove_between_jobs() {
  local log
  prove_idle "$whose"
  prove_no_worker
  if is_forced; then return 0; fi
  : >"$STEP_FOLDER/now"
  for log in _diag/Worker_*.log; do # a clock that was ahead has left some of the future
    if [ "$log" -nt "$STEP_FOLDER/received" ] && ! [ "$log" -nt "$STEP_FOLDER/now" ]; then otherwise refused-busy 'a job began while the disk was read'; fi
  done
}

# begin_between_jobs PURPOSE: as `begin_stopping`; by force a job that runs goes on, and none begins meanwhile.
begin_between_jobs() {
  if ! is_forced; then
    begin_stopping "$1"
    prove_between_jobs
  elif [ -z "$(workers "$whose")" ]; then
    trap let_go EXIT
    hold
  fi
}

# keep_choice VARIABLE …: what was chosen, for the act after the pause. `find_choice` finds it, and what it finds is read at the top of a step.
keep_choice() {
  declare -p "$@" >"$STEP_FOLDER/chosen"
}

# Sets `choice` to what the pause for this purpose has chosen; /dev/null without one.
# shellcheck disable=SC2034 # for the step that reads it
find_choice() {
  choice=/dev/null
  find_pause
  if [ -n "$pause_folder" ] && [ -s "$pause_folder/chosen" ]; then choice=$pause_folder/chosen; fi
}

# --- what goes from the actions cache ----------------------------------------------------------------------------------------------------------

# Sets `trash_at` to where what goes from the cache is moved.
choose_trash() {
  if ! is_there _work; then
    # shellcheck disable=SC2016 # expanded by the user's own shell
    ask_user 'mkdir -p _work' || fail "$directory/_work could not be made as $user"
  fi
  trash_at=_work
  if is_folder "$CACHE" && is_mounted "$CACHE"; then trash_at=$CACHE; fi
}

# What is slow of removing from the cache.
prepare_removal() {
  prove_between_jobs
  choose_trash
  open_trash "$trash_at"
  leave_trash
  read_entries
  measure "${entries[@]}"
  choose_entries
  add_up "${chosen[@]}"
  keep_choice chosen damages is_all unmeasured total bytes_of
}

# --- removing --------------------------------------------------------------------------------------------------------------------------------

# What is to go is moved there, which takes a moment whatever it holds, and is deleted while jobs run again.
TRASH=.runward-trash
# What was damaged, until the act that removed it has ended.
DAMAGE=damage

# open_trash FOLDER: one in this folder, on whose file system all lies that is moved there. Deletes what an act that was cut off has left.
open_trash() {
  local here
  exec {here}<.
  trash_folder=$1
  if ! enter "$1"; then fail "$(in_words "$1") is not a folder but a link or nothing, so nothing was removed"; fi
  if [ -e "$TRASH" ] && ! [ -O "$TRASH" ]; then # a job's: its own user moves it out of the way
    # shellcheck disable=SC2016 # expanded by the user's own shell
    ask_user 'cd -- "$1" && mv -T -- "$2" "$2.$3"' "$1" "$TRASH" "$RANDOM" || true
  fi
  own_folder "$TRASH"
  exec {trash}<"$TRASH"
  if ! [ "/dev/fd/$trash/.." -ef . ] || ! [ -O "/dev/fd/$trash" ]; then fail "$(in_words "$1/$TRASH") is not a folder of root; move it away"; fi
  cd -P "/dev/fd/$here"
  groups=0
  delete_trash "$DAMAGE"
}

# make_groups NUMBER: room in the trash for so many moves.
make_groups() {
  local group folders=()
  for ((group = 0; group < $1; group += 1)); do folders+=("/dev/fd/$trash/$group"); done
  if [ "$1" -gt 0 ]; then mkdir -- "${folders[@]}"; fi
}

# take_paths PATH …: moves these, each folder's own at once; what is not there is passed over.
take_paths() {
  local path names=() folder=''
  for path in "$@"; do
    if ! is_there "$path"; then continue; fi
    if [ "${path%/*}" != "$folder" ] || [ ${#names[@]} -ge 1000 ]; then
      if [ ${#names[@]} -gt 0 ]; then take "$folder" "${names[@]}"; fi
      folder=${path%/*} names=()
    fi
    names+=("${path##*/}")
  done
  if [ ${#names[@]} -gt 0 ]; then take "$folder" "${names[@]}"; fi
  see_gone "$@"
}

# take FOLDER NAME …: moves these into the trash, a group of it, in this order.
take() {
  local folder=$1 group=$groups names
  shift
  groups=$((groups + 1))
  names=("${@/#/./}")
  (
    enter "$folder" || fail "$(in_words "$folder") is a link by now, so what it holds was left"
    mv -t "/dev/fd/$trash/$group" -- "${names[@]}" 2>/dev/null || {
      unlock "$folder" "${names[@]}"
      take_left "$folder" "$group" "${names[@]}"
    }
  )
}

# take_left FOLDER GROUP NAME …
take_left() {
  local folder=$1 group=$2 name left=()
  for name in "${@:3}"; do
    if is_there "$name"; then left+=("$name"); fi
  done
  if [ ${#left[@]} -gt 0 ]; then
    said=$(mv -t "/dev/fd/$trash/$group" -- "${left[@]}" 2>&1) \
      || fail "$(in_words "$folder"): $said. See whether something is mounted there (\`findmnt\`) or the disk is read-only, and remove it by hand"
  fi
}

# unlock FOLDER NAME …: nothing can be moved that is immutable, nor out of an immutable folder. The current folder is that one.
unlock() {
  local up=. rest=$1
  shift
  chattr -f -i -a -- "$@" . || true
  while [ "$rest" != "$trash_folder" ]; do
    up+=/..
    rest=${rest%/*}
    chattr -f -i -a -- "$up" || true
  done
}

# see_gone PATH …: ends the step where one is there.
see_gone() {
  local path
  for path in "$@"; do
    if is_there "$path"; then fail "$(in_words "$path") came back while it was removed: a process writes there (\`fuser -v\`); end it"; fi
  done
}

# delete_trash [KEPT]: all that it holds, but for a file of this name.
delete_trash() {
  (
    cd -P "/dev/fd/$trash"
    local left
    delete_in_trash "${1:-}" >/dev/null 2>&1
    if [ -n "$(held_by_trash "${1:-}")" ]; then
      chattr -R -f -i -a . >/dev/null 2>&1 || true
      left=$(delete_in_trash "${1:-}" 2>&1 | tail -n 1)
      if [ -n "$(held_by_trash "${1:-}")" ]; then
        fail "$(in_words "$trash_folder/$TRASH") holds what could not be deleted: $left. See whether something is mounted there (\`findmnt\`), and delete it by hand"
      fi
    fi
  )
}

delete_in_trash() {
  nice -n 19 find . -mindepth 1 -maxdepth 1 ! -name "$1" -exec rm -rf --one-file-system -- {} + || true
}

held_by_trash() {
  find . -mindepth 1 -maxdepth 1 ! -name "$1" -print -quit
}

# empty_trash FOLDER: deletes one that was left there, or filled while jobs could not run.
empty_trash() {
  open_trash "$1"
  close_trash
}

# Deletes the trash and its folder.
close_trash() {
  delete_trash
  leave_trash
}

# Takes its folder away if it is empty.
leave_trash() {
  (enter "$trash_folder" && rmdir -- "$TRASH" 2>/dev/null) || true
  exec {trash}<&-
}
