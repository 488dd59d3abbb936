#!/bin/bash
# Makes room on the disk from one source, between two jobs.
# shellcheck source=disk.sh
. "${0%/*}/lib.sh"

# What a command may take while the runner is held, in seconds: less than until it is thawed.
COMMAND_SECONDS=90

# free_bytes PLACE …: where the first of them is that is there.
free_bytes() {
  local blocks size
  while ! is_there "$1"; do shift; done
  read -r blocks size < <(stat -f -c '%a %S' -- "$1")
  printf '%s\n' "$((blocks * size))"
}

nothing() {
  say kind nothing
  say_text why "$1"
  say disk "$(disk)"
  exit 0
}

# remove_folders runner|machine TRASH-FOLDER PATH …: moved away while that is held, and deleted afterwards. The trash is on their file system.
remove_folders() {
  local whose=$1
  open_trash "$2"
  shift 2
  make_groups $#
  hold "$whose"
  take_paths "$@"
  release
  close_trash
}

# --- sources: each sets `items` to how many things it has removed, or ends the step with nothing ---------------------------------------------------

# It is for a day that may never come, and can be had again.
make_runner_package() {
  items=$(find "$PACKAGES" -mindepth 1 -maxdepth 1 -printf x 2>/dev/null | wc -c || true)
  if [ "$items" -eq 0 ]; then nothing 'no package of the runner is kept'; fi
  if [ "$(stat -c %d "$PACKAGES")" != "$(stat -c %d .)" ]; then nothing 'the package of the runner lies on another disk'; fi
  rm -rf -- "$PACKAGES"
}

make_diagnostic_logs() {
  local seconds log kind kinds=' ' logs=()
  if ! is_folder _diag; then nothing "there is no $directory/_diag"; fi
  while read -r -d '' seconds log; do
    kind=${log%%[_-]*}
    if [[ $kinds != *" $kind "* ]]; then
      kinds+="$kind " # the newest of its kind
    elif [ "${seconds%.*}" -le $((EPOCHSECONDS - given[unused_seconds])) ]; then
      logs+=("./$log")
    fi
  done < <(find _diag -maxdepth 1 -type f -name '*.log' -printf '%T@ %f\0' | sort -z -rn)
  items=$((${#logs[@]} + $(old_pages | wc -c)))
  if [ "$items" -eq 0 ]; then nothing 'no log is so old'; fi
  hold runner
  if [ ${#logs[@]} -gt 0 ]; then (enter _diag && printf '%s\0' "${logs[@]}" | xargs -0 rm -f --); fi
  old_pages -delete >/dev/null
  release
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
make_temporary_files() {
  items=0
  if is_folder _work/_temp; then items=$(find _work/_temp -mindepth 1 -maxdepth 1 -printf x | wc -c); fi
  if [ "$items" -eq 0 ]; then nothing 'there are no temporary files'; fi
  if is_mounted _work/_temp; then nothing '_work/_temp is a file system of its own'; fi
  remove_folders runner _work _work/_temp
}

make_update_leftovers() {
  local path left=()
  for path in _work/_update _work/_update.sh; do
    if is_there "$path"; then left+=("$path"); fi
  done
  items=${#left[@]}
  if [ "$items" -eq 0 ]; then nothing 'no update has left anything'; fi
  # A listener loads an update down before the script starts that can be seen.
  if [ -n "$(find "${left[@]}" -mmin -60 -print -quit)" ]; then nothing 'an update may be under way'; fi
  remove_folders runner _work "${left[@]}"
}

make_tool_caches() {
  local root trash_at whose removed=0
  while IFS= read -r root; do
    trash_at=$root whose=runner
    # One that lies elsewhere may serve neighbours as well.
    if [[ $root == /* ]]; then whose=machine; fi
    if [ "$root" = _work/_tool ] && ! is_mounted "$root"; then trash_at=_work; fi
    read_versions "$root"
    if [ ${#old[@]} -eq 0 ]; then continue; fi
    removed=$((removed + ${#old[@]}))
    remove_folders "$whose" "$trash_at" "${old[@]/%/.complete}" "${old[@]}"
  done < <(tool_roots)
  items=$removed
  if [ "$items" -eq 0 ]; then nothing 'no tool was unused for so long'; fi
}

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

# Without -a and --volumes: images that have a name, and volumes, are somebody's.
make_docker() {
  local running said hours=$(((given[unused_seconds] + 3599) / 3600))
  if ! command -v docker >/dev/null; then nothing 'no docker here'; fi
  running=$(timeout 20 docker ps -q 2>&1) || nothing "docker does not answer: $running"
  if [ -n "$running" ]; then nothing 'a container runs'; fi
  hold machine
  running=$(timeout 20 docker ps -q 2>&1) || running=unknown
  if [ -n "$running" ]; then
    release
    nothing 'a container runs'
  fi
  said=$(timeout "$((COMMAND_SECONDS - 20))" docker system prune -f --filter "until=$((hours > 0 ? hours : 1))h" 2>&1) \
    || fail "docker system prune: $said"
  release
  items=$(grep -cE '^(deleted: |untagged: )?[a-z0-9:]{12,}$' <<<"$said" || true)
  if [ "$items" -eq 0 ] && [[ $said == *' 0B'* ]]; then nothing 'docker holds nothing so old'; fi
}

make_journal() {
  local said
  if ! command -v journalctl >/dev/null; then nothing 'no journal here'; fi
  hold machine
  said=$(timeout "$COMMAND_SECONDS" journalctl "--vacuum-size=${given[journal_bytes]}" 2>&1) || fail "journalctl --vacuum-size: $said"
  release
  items=$(grep -c '^Deleted ' <<<"$said" || true)
  if [ "$items" -eq 0 ]; then nothing 'the journal is no larger than it may be'; fi
}

make_apt() {
  local said packages
  if ! command -v apt-get >/dev/null; then nothing 'no apt here'; fi
  shopt -s nullglob
  packages=(/var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/* /var/cache/apt/*.bin)
  shopt -u nullglob
  items=${#packages[@]}
  if [ "$items" -eq 0 ]; then nothing 'apt keeps no package'; fi
  if is_dpkg_locked; then nothing 'apt or dpkg is at work'; fi
  hold machine
  said=$(timeout "$COMMAND_SECONDS" apt-get clean 2>&1 </dev/null) || fail "apt-get clean: $said"
  release
}

# Their locks are POSIX locks, which `flock` does not see.
is_dpkg_locked() {
  local inode
  for inode in $(stat -c %i /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/cache/apt/archives/lock 2>/dev/null); do
    if grep -q ":$inode " /proc/locks; then return 0; fi
  done
  return 1
}

make_workspaces() {
  read_workspaces
  keep_old "${workspaces[@]}"
  items=${#old[@]}
  if [ "$items" -eq 0 ]; then nothing 'no workspace was unused for so long'; fi
  remove_folders runner _work "${old[@]}"
}

enter_directory
place=_work whose=runner
case ${given[source]} in
  runner-package) place=$ROOTS ;;
  diagnostic-logs) place=_diag ;;
  docker) place=/var/lib/docker whose=machine ;;
  journal) place=/var/log/journal whose=machine ;;
  apt) place=/var/cache/apt whose=machine ;;
esac
prove_between_jobs "$whose"
before=$(free_bytes "$place" .)
"make_${given[source]//-/_}"
say kind made
say bytes "$(($(free_bytes "$place" .) - before))"
say items "$items"
say disk "$(disk)"
