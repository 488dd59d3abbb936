#!/bin/bash
# Sources of room on the disk: it travels appended to disk.sh, for the step that makes room and the pause before it.
# shellcheck source=disk.sh
if [ -z "${STEP_FOLDER:-}" ]; then . "${0%/*}/lib.sh"; fi

# What a command may take while the runner is paused, in seconds.
COMMAND_SECONDS=90

# --- what is slow ------------------------------------------------------------------------------------------------------------------------------

# For each source `choose_SOURCE` sets `items` to how many things would be removed, or `why` if there is nothing; it changes nothing. `take_SOURCE`
# removes them, while nothing can take a job.
items=0 why='' chosen=() logs=()
# Of each chosen path the folder whose trash it goes to, on the same file system.
declare -A trash_of=()

# Sets `whose` to the `machine` if all of its runners use the source.
read_whose() {
  case ${given[source]} in docker | journal | apt) whose=machine ;; esac
}

prepare_room() {
  local folder
  read_whose
  prove_between_jobs
  "choose_${given[source]//-/_}"
  if [ -z "$why" ]; then
    read_trash_folders
    for folder in "${trash_folders[@]}"; do empty_trash "$folder"; done
  fi
  keep_choice items why chosen logs trash_of whose
}

# choose TRASH-FOLDER PATH …: sets aside what take_chosen moves away.
choose() {
  local path
  for path in "${@:2}"; do
    chosen+=("$path")
    trash_of["$path"]=$1
  done
}

read_trash_folders() {
  trash_folders=()
  if [ ${#trash_of[@]} -gt 0 ]; then mapfile -d '' -t trash_folders < <(printf '%s\0' "${trash_of[@]}" | sort -zu); fi
}

# Moves away what was chosen; it is deleted once jobs run again.
take_chosen() {
  local folder path paths
  read_trash_folders
  for folder in "${trash_folders[@]}"; do
    paths=()
    for path in "${chosen[@]}"; do
      if [ "${trash_of["$path"]}" = "$folder" ]; then paths+=("$path"); fi
    done
    open_trash "$folder"
    make_groups ${#paths[@]}
    take_paths "${paths[@]}"
    exec {trash}<&-
  done
}

delete_taken() {
  local folder
  read_trash_folders
  for folder in "${trash_folders[@]}"; do empty_trash "$folder"; done
}

# --- sources -----------------------------------------------------------------------------------------------------------------------------------

# It is for a day that may never come, and can be had again.
choose_runner_package() {
  items=$(find "$PACKAGES" -mindepth 1 -maxdepth 1 -printf x 2>/dev/null | wc -c || true)
  if [ "$items" -eq 0 ]; then
    why='no package of the runner is kept'
  elif [ "$(stat -c %d "$PACKAGES")" != "$(stat -c %d .)" ]; then
    why='the package of the runner lies on another disk'
  fi
}

take_runner_package() {
  rm -rf -- "$PACKAGES"
}

choose_diagnostic_logs() {
  local seconds log kind kinds=' '
  if ! is_folder _diag; then
    why="there is no $directory/_diag"
    return 0
  fi
  while read -r -d '' seconds log; do
    kind=${log%%[_-]*}
    if [[ $kinds != *" $kind "* ]]; then
      kinds+="$kind " # the newest of its kind
    elif [ "${seconds%.*}" -le $((EPOCHSECONDS - given[unused_seconds])) ]; then
      logs+=("./$log")
    fi
  done < <(find _diag -maxdepth 1 -type f -name '*.log' -printf '%T@ %f\0' | sort -z -rn)
  items=$((${#logs[@]} + $(old_pages | wc -c)))
  if [ "$items" -eq 0 ]; then why='no log is so old'; fi
}

take_diagnostic_logs() {
  if [ ${#logs[@]} -gt 0 ]; then (enter _diag && printf '%s\0' "${logs[@]}" | xargs -0 rm -f --); fi
  old_pages -delete >/dev/null
}

# old_pages [ACTION]: what find does with what was kept of a job's log until GitHub had it; prints a letter for each.
old_pages() {
  local folder
  for folder in _diag/pages _diag/blocks; do
    if is_folder "$folder"; then
      (enter "$folder" && find . -mindepth 1 -maxdepth 1 -type f -mmin +1440 "$@" -printf x) || true
    fi
  done
}

# The runner makes the folder anew for each job.
choose_temporary_files() {
  if is_folder _work/_temp; then items=$(find _work/_temp -mindepth 1 -maxdepth 1 -printf x | wc -c); fi
  if [ "$items" -eq 0 ]; then
    why='there are no temporary files'
  elif is_mounted _work/_temp; then
    why='_work/_temp is a file system of its own'
  else
    choose _work _work/_temp
  fi
}

take_temporary_files() { take_chosen; }

choose_update_leftovers() {
  local path left=()
  for path in _work/_update _work/_update.sh; do
    if is_there "$path"; then left+=("$path"); fi
  done
  items=${#left[@]}
  if [ "$items" -eq 0 ]; then
    why='no update has left anything'
  elif [ -n "$(find "${left[@]}" -mmin -60 -print -quit)" ]; then
    why='an update may be under way' # a listener loads it down before the script starts that can be seen
  else
    choose _work "${left[@]}"
  fi
}

take_update_leftovers() { take_chosen; }

choose_tool_caches() {
  local root trash_at
  while IFS= read -r root; do
    trash_at=$root
    if [ "$root" = _work/_tool ] && ! is_mounted "$root"; then trash_at=_work; fi
    read_versions "$root"
    if [ ${#old[@]} -eq 0 ]; then continue; fi
    # One that lies elsewhere may serve neighbours as well.
    if [[ $root == /* ]]; then whose=machine; fi
    items=$((items + ${#old[@]}))
    choose "$trash_at" "${old[@]/%/.complete}" "${old[@]}"
  done < <(tool_roots)
  if [ "$items" -eq 0 ]; then why='no tool was unused for so long'; fi
}

take_tool_caches() { take_chosen; }

# Where tools of jobs are kept. What `.env` names may be anything, so what is not the runner's user's own there is left alone.
# https://docs.github.com/actions/reference/workflows-and-actions/variables
tool_roots() {
  local name value root
  if is_folder _work && is_folder _work/_tool; then printf '_work/_tool\n'; fi
  while IFS='=' read -r name value; do
    case $name in RUNNER_TOOL_CACHE | AGENT_TOOLSDIRECTORY) ;; *) continue ;; esac
    root=$(readlink -e -- "${value%$'\r'}" || true)
    if [[ $value == /* ]] && [[ $root == /*/* ]] && ! [ "$root" -ef _work/_tool ] && belongs_to_user "$root"; then printf '%s\n' "$root"; fi
  done < <(ask_user 'if [ -f .env ] && [ ! -L .env ]; then dd if=./.env iflag=nonblock,nofollow bs=16K count=1 status=none; fi') | sort -u
}

belongs_to_user() {
  [ "$(stat -c %U -- "$1")" = "$user" ]
}

# read_versions ROOT: sets `old` to its folders TOOL/VERSION that nothing has used for so long.
read_versions() {
  local root=$1 tool version versions=()
  shopt -s nullglob
  for tool in "$root"/*; do
    if ! is_folder "$tool" || { [[ $root == /* ]] && ! belongs_to_user "$tool"; }; then continue; fi
    for version in "$tool"/*; do
      if is_folder "$version"; then versions+=("$version"); fi
    done
  done
  shopt -u nullglob
  keep_old "${versions[@]}"
}

# keep_old PATH …: sets `old` to those that nothing has used for so long, and that can be moved.
keep_old() {
  local path
  old=()
  measure "$@"
  for path in "$@"; do
    if is_unused "$path" && ! is_mounted "$path" && { [[ $path != /* ]] || belongs_to_user "$path"; }; then old+=("$path"); fi
  done
}

choose_docker() {
  if ! command -v docker >/dev/null; then
    why='no docker here'
  else
    why=$(why_docker_stays)
  fi
}

why_docker_stays() {
  local running
  running=$(timeout 20 docker ps -q 2>&1) || running="docker does not answer: $running"
  case $running in
    '') ;;
    docker*) printf '%s\n' "$running" ;;
    *) printf 'a container runs\n' ;;
  esac
}

# Without -a and --volumes: images that have a name, and volumes, are somebody's.
take_docker() {
  local said hours=$(((given[unused_seconds] + 3599) / 3600))
  why=$(why_docker_stays)
  if [ -n "$why" ]; then return 0; fi
  said=$(timeout "$((COMMAND_SECONDS - 20))" docker system prune -f --filter "until=$((hours > 0 ? hours : 1))h" 2>&1) \
    || fail "docker system prune: $said"
  items=$(grep -cE '^(deleted: |untagged: )?[a-z0-9:]{12,}$' <<<"$said" || true)
  if [ "$items" -eq 0 ] && [[ $said == *' 0B'* ]]; then why='docker holds nothing so old'; fi
}

choose_journal() {
  if ! command -v journalctl >/dev/null; then why='no journal here'; fi
}

take_journal() {
  local said
  said=$(timeout "$COMMAND_SECONDS" journalctl "--vacuum-size=${given[journal_bytes]}" 2>&1) || fail "journalctl --vacuum-size: $said"
  items=$(grep -c '^Deleted ' <<<"$said" || true)
  if [ "$items" -eq 0 ]; then why='the journal is no larger than it may be'; fi
}

choose_apt() {
  local packages
  if ! command -v apt-get >/dev/null; then
    why='no apt here'
    return 0
  fi
  shopt -s nullglob
  packages=(/var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/* /var/cache/apt/*.bin)
  shopt -u nullglob
  items=${#packages[@]}
  if [ "$items" -eq 0 ]; then
    why='apt keeps no package'
  elif is_dpkg_locked; then
    why='apt or dpkg is at work'
  fi
}

take_apt() {
  local said
  said=$(timeout "$COMMAND_SECONDS" apt-get clean 2>&1 </dev/null) || fail "apt-get clean: $said"
}

# Their locks are POSIX locks, which `flock` does not see.
is_dpkg_locked() {
  local inode
  for inode in $(stat -c %i /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/cache/apt/archives/lock 2>/dev/null); do
    if grep -q ":$inode " /proc/locks; then return 0; fi
  done
  return 1
}

choose_workspaces() {
  read_workspaces
  keep_old "${workspaces[@]}"
  items=${#old[@]}
  if [ "$items" -eq 0 ]; then why='no workspace was unused for so long'; fi
  choose _work "${old[@]}"
}

take_workspaces() { take_chosen; }
