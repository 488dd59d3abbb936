#!/bin/bash
# Reads what the guest says about itself and one runner. Changes nothing, and ends within seconds whatever the guest holds.
# A process is dear in an emulated guest, so bash does by itself what it can.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

# How much of a file or of the journal an answer holds, in bytes; the driver hands over 64 KiB of all answers.
ENOUGH=16384

# say_encoded NAME TEXT: the end of it. By a pipe, since a here-string may need room on the disk.
say_encoded() {
  local text=$2
  if [ "${#text}" -gt "$ENOUGH" ]; then text=${text: -ENOUGH}; fi
  say "${1}64" "$(printf '%s' "$text" | base64 -w 0)"
}

# say_count NAME LINES: how many lines.
say_count() {
  local breaks=${2//[!$'\n']/}
  if [ -n "$2" ]; then say "$1" "$((${#breaks} + 1))"; else say "$1" 0; fi
}

# --- systemd ---------------------------------------------------------------------------------------------------------------------------------

# Asks once for all units: the runner's own, the act that runs, and the services that keep the clock.
read_units() {
  local clocks=(systemd-timesyncd.service chrony.service chronyd.service)
  names=()
  if [ -n "$found" ]; then unit_names "${told[service]:-}"; fi
  {
    take_units
    take_act
    take_clocks
  } < <(systemctl show -p "Id,Description,$UNIT_PROPERTIES" -- "${names[@]}" runward-act.service "${clocks[@]}" || true)
}

# Sets act to the key of the act that runs.
take_act() {
  local name value description='' state=''
  act=
  while IFS='=' read -r name value && [ -n "$name" ]; do
    case $name in
      Description) description=$value ;;
      ActiveState) state=$value ;;
    esac
  done
  case $state in
    '') fail 'systemd does not answer' ;;
    inactive | failed) ;;
    *) act=$description ;;
  esac
}

# Sets clock and its state: the service that runs, else an installed one.
take_clocks() {
  local name value id='' loaded='' state=''
  clock='' clock_state=inactive
  while IFS='=' read -r name value || [ -n "$id" ]; do
    case $name in
      Id) id=$value ;;
      LoadState) loaded=$value ;;
      ActiveState) state=$value ;;
      '')
        if [ "$loaded" = loaded ] && { [ -z "$clock" ] || [ "$state" = active ]; }; then
          case $id in systemd-timesyncd.service) clock=timesyncd ;; *) clock=chrony ;; esac
          clock_state=$state
        fi
        id=
        ;;
    esac
  done
}

# --- what only the user's files tell ---------------------------------------------------------------------------------------------------------

# Runs as the user: each answer is a line `NAME=VALUE`, and the last is `end`.
tell() {
  local name
  name=$(head_of .service 300)
  name=${name%%[$'\r\n']*}
  if [ -z "$name" ]; then
    name=$(head_of svc.sh 16384)
    if [[ $name =~ (^|$'\n')SVC_NAME=\"?([^$'\n'\"]*)\"?$'\n' ]]; then name=${BASH_REMATCH[2]// /_}; else name=''; fi
  fi
  printf 'service=%s\n' "$name"
  printf 'runner=%s\n' "$(head_of .runner 8192 | base64 -w 0)"
  printf 'version=%s\n' "$(version_of_programs)"
  printf 'missing=%s\n' "$(missing_program)"
  tell_counts
  printf 'end=yes\n'
}

# head_of FILE BYTES: of a regular file that is no link; whatever takes its place meanwhile is neither followed nor waited for.
head_of() {
  if [ -f "$1" ] && [ ! -L "$1" ]; then dd "if=./$1" iflag=nonblock,nofollow "bs=$2" count=1 status=none || true; fi
}

# bin is a link to bin.VERSION once the runner has updated itself; else the listener's newest log says it.
version_of_programs() {
  local log newest='' text
  if [ -L bin ] && [[ $(readlink bin) =~ (^|/)bin\.([0-9.]+)$ ]]; then
    printf '%s\n' "${BASH_REMATCH[2]}"
    return 0
  fi
  for log in _diag/Runner_*.log; do
    if [ -f "$log" ] && { [ -z "$newest" ] || [ "$log" -nt "$newest" ]; }; then newest=$log; fi
  done
  text=$(head_of "$newest" 65536)
  if [[ $text =~ \ Version:\ ([0-9][0-9.]*) ]]; then printf '%s\n' "${BASH_REMATCH[1]}"; fi
}

# What _work and the actions cache in it hold. Versions of actions are folders OWNER/NAME/REF; those that are empty or gone although the runner has
# noted that they are whole, and takes them for that, are damaged.
tell_counts() {
  local entries note files damaged=0
  shopt -s dotglob
  entries=(_work/*)
  printf 'entries=%s\n' "${#entries[@]}"
  entries=(_work/_actions/*/*/*/)
  for note in _work/_actions/*/*/*.completed; do
    files=("${note%.completed}"/*)
    if [ "${#files[@]}" -eq 0 ]; then damaged=$((damaged + 1)); fi
  done
  printf 'cached=%s\n' "${#entries[@]} $damaged"
}

# Sets `told` to what is known and fits of that; all is the user's word.
hear() {
  local text='' line name value others
  local -A most=([service]=255 [runner]=10924 [version]=20 [missing]=300 [entries]=9 [cached]=19 [end]=3)
  told=()
  IFS= read -r -N 16384 text < <(USER_SECONDS=8 USER_BYTES=16384 ask_user "$TELL") || true
  while [ -n "$text" ]; do
    line=${text%%$'\n'*} text=${text:${#line}+1}
    name=${line%%=*} value=${line#*=}
    if [ -z "$name" ] || [ -z "$value" ] || [ "${#value}" -gt "${most[$name]:-0}" ]; then continue; fi
    case $name in
      service) others='*[!A-Za-z0-9:_.@-]*' ;;
      runner) others='*[!A-Za-z0-9+/=]*' ;;
      version) others='*[!0-9.]*' ;;
      entries) others='*[!0-9]*' ;;
      cached)
        if ! [[ $value =~ ^[0-9]+\ [0-9]+$ ]]; then continue; fi
        others='*[!0-9\ ]*'
        ;;
      *) others='*[![:print:]]*' ;;
    esac
    # shellcheck disable=SC2053 # a pattern
    if [[ $value != $others ]]; then told[$name]=$value; fi
  done
  if [ -z "${told[end]:-}" ]; then told[missing]="not to be read as $user within 8 s"; fi
}

TELL="$(declare -f tell head_of version_of_programs missing_program lacks_files tell_counts); tell"

# --- the runner's directory ------------------------------------------------------------------------------------------------------------------

# Sets package to the version of the newest whole package of the runner that is kept for a registration.
read_package() {
  local folder parts newest=
  package=
  for folder in /var/lib/runward/packages/*; do
    folder=${folder##*/}
    if ! [[ $folder =~ ^[0-9]{1,6}(\.[0-9]{1,6})+$ ]]; then continue; fi
    # shellcheck disable=SC2086 # its numbers, one by one
    printf -v parts '%06d' ${folder//./ }
    if [[ $parts > $newest ]]; then newest=$parts package=$folder; fi
  done
}

# Sizes of _work and of the actions cache in it, by one walk on this disk alone. Where that does not end in time the cache is walked by
# itself. What is not counted in time is not said, nor what lies behind a link.
say_work() {
  local size folder above work='' cache=''
  if [ ! -e _work ] && [ ! -L _work ]; then
    say work '0 0'
    say cache '0 0 0'
    return 0
  fi
  exec {above}<.
  if [ -L _work ] || ! cd -P ./_work 2>/dev/null || ! [ .. -ef "/dev/fd/$above" ]; then return 0; fi
  while IFS=$'\t' read -r size folder; do
    case $folder in
      .) work=$size ;; # the last line
      ./_actions) cache=$size ;;
    esac
  done < <(sizes -d 1 .)
  if [ ! -d _actions ]; then
    cache=0
  elif [ -z "$cache" ]; then
    IFS=$'\t' read -r cache _ < <(sizes -s _actions) || true
  fi
  if [ -n "$work" ] && [ -n "${told[entries]:-}" ]; then say work "$work ${told[entries]}"; fi
  if [ -n "$cache" ] && [ -n "${told[cached]:-}" ]; then say cache "$cache ${told[cached]}"; fi
  cd -P "/dev/fd/$above" || fail "$directory is gone"
}

# sizes ARGUMENT …: what du prints in time.
sizes() {
  timeout "${given[cache_seconds]:-3}" nice -n 19 du -x -B 1 "$@" 2>/dev/null || true
}

# Says how long ago the actions cache was last cleaned of what is unused.
say_cleaned() {
  local at=
  { read -r at <"$CLEANED"; } 2>/dev/null || true
  if [[ $at =~ ^[0-9]{1,12}$ ]]; then say cleanedAgo "$((at < EPOCHSECONDS ? EPOCHSECONDS - at : 0))"; fi
}

# --- the runner's processes --------------------------------------------------------------------------------------------------------------------

# Says what the unit runs; and of what else passes for a listener of this runner how many there are, how many workers they have, and one of them.
say_processes() {
  local pid own='' at_work=0 strays=()
  for pid in $(listeners); do
    if is_of_unit "$pid"; then own+=$'\n'$pid; else strays+=("$pid"); fi
  done
  say_count listeners "${own#$'\n'}"
  if [ -n "$running" ]; then running=$(workers runner); fi
  say_count workers "$running"
  if [ "${#strays[@]}" -eq 0 ]; then return 0; fi
  for pid in $running; do
    if ! is_of_unit "$(parent_of "$pid")"; then at_work=$((at_work + 1)); fi
  done
  say strays "${#strays[@]} $at_work ${strays[0]}"
}

# --- what cleans besides Runward -------------------------------------------------------------------------------------------------------------

# Larger files are passed over: a crontab is its user's to write.
MOST_BYTES=65536
MOST_LINES=1000

# Sets cleaner to the first line of cron, services and scripts that removes things below this runner's directory, as FILE:NUMBER. One process
# looks for what may be one; bash then takes its time with the few lines that it has found.
find_cleaner() {
  local place below removes file number line tables files named
  place="(${home//[!A-Za-z0-9\/_-]/.}|${directory//[!A-Za-z0-9\/_-]/.})([]/\"'[:space:]*;]|\$)"
  below="($place|_work/_t(emp|ool)|(^|[^A-Za-z0-9_])_actions)"
  removes="(^|[^A-Za-z0-9_.-])((rm|rmdir|unlink|shred|tmpreaper|tmpwatch)[[:space:]].*$below|find[[:space:]].*$below.*(-delete|rm[[:space:]]))"
  cleaner=''
  shopt -s nullglob
  tables=(/etc/crontab /etc/cron.d/* /var/spool/cron/crontabs/* /etc/systemd/system/*.service)
  files=(/etc/cron.{hourly,daily,weekly,monthly}/* /etc/tmpfiles.d/* /usr/local/bin/* /usr/local/sbin/*)
  shopt -u nullglob
  read_tables "${tables[@]}"
  while IFS=: read -r -n 4096 file number line; do
    line=${line#"${line%%[![:space:]]*}"}
    if is_cleaner "$file" "$line"; then
      cleaner="$file:$number"
      break
    fi
  done < <(timeout 5 grep -nsIHE -m 100 -d skip -D skip "$removes|^[A-Za-z][^[:space:]]*[[:space:]]+$place" -- "${tables[@]}" "${named[@]}" "${files[@]}")
}

# read_tables TABLE …: sets tables to those that are not too large, and named to the files that lines of root's own name by an absolute path, but for
# the system's own programs.
read_tables() {
  local table lines line word small=()
  tables=() named=()
  mapfile -d '' -t small < <(find -H "$@" -maxdepth 0 -type f -size "-$((MOST_BYTES + 1))c" -print0 2>/dev/null)
  set -f
  for table in "$@"; do
    if [ ! -f "$table" ]; then continue; fi
    if [ "$table" != "${small[0]:-}" ]; then continue; fi
    small=("${small[@]:1}")
    case ${table##*/} in actions.runner.*) continue ;; esac
    mapfile -t -n "$((MOST_LINES + 1))" lines <"$table"
    if [ "${#lines[@]}" -gt "$MOST_LINES" ]; then continue; fi
    tables+=("$table")
    if [ ! -O "$table" ]; then continue; fi
    for line in "${lines[@]}"; do
      case $line in '#'* | '') continue ;; esac
      for word in $line; do
        word=${word#Exec*=}
        word=${word#[-@:+!]}
        case $word in
          /bin/* | /sbin/* | /usr/*) ;;
          /*) if [ -f "$word" ]; then named+=("$word"); fi ;;
        esac
      done
    done
  done
  set +f
}

# is_cleaner FILE LINE: whether a line that looks like one means this runner, and is neither Runward's nor the runner's own.
is_cleaner() {
  local word age
  case ${1##*/} in runward* | actions.runner.*) return 1 ;; esac
  case $2 in '#'*) return 1 ;; esac
  if [[ $1 == /etc/tmpfiles.d/* ]]; then
    read -r word _ _ _ _ age _ <<<"$2"
    case $word in
      [rRD]*) return 0 ;;
      *) [ "${age:--}" != - ] && return 0 || return 1 ;;
    esac
  fi
  while read -r -d ' ' word; do
    word=${word//[\"\']/}
    case $word in
      "$home" | "$home"/* | "$directory" | "$directory"/*) return 0 ;;
      /*[*?[$]*) if names_work "$word"; then return 0; fi ;;
      /*) ;; # another place that is named in full is another runner's
      *) if names_work "$word"; then return 0; fi ;;
    esac
  done <<<"$2 "
  return 1
}

names_work() {
  case $1 in *_actions* | *_work/_temp* | *_work/_tool* | *"$home"* | *"$directory"*) return 0 ;; esac
  return 1
}

# --- all of it -------------------------------------------------------------------------------------------------------------------------------

found=
declare -A told=()
if [ -d "$directory" ] && enter "$runner_path"; then found=yes; fi
if [ -n "$found" ]; then hear; fi

read -r boot </proc/sys/kernel/random/boot_id
read -r awake _ </proc/uptime
say bootId "$boot"
say uptimeMs "$((10#${awake/./} * 10))"
read_units
say runningAct "$act"
say architecture "$HOSTTYPE"
read_package
say packageVersion "$package"
say timeSync "$clock"
say timeSyncState "$clock_state"
running=$(workers machine)
say_count workersOnMachine "$running"
mark=$(drain_mark)
if [ -n "$mark" ]; then say_encoded drain "$mark"; fi

if [ -z "$found" ]; then
  cd /
  say unit ''
  say serviceState missing
  say workers 0
  say listeners 0
  say disk "$(disk)"
  exit 0
fi

if is_loaded || [ -n "${told[service]:-}" ]; then say unit "$unit"; else say unit ''; fi
if is_loaded; then
  say serviceState "$active"
  say startedAgo "$started_ago"
  altered=$(unit_alteration)
  if [ -n "$altered" ]; then say_encoded altered "$altered"; fi
  if printed=$(journal) && [ -n "$printed" ]; then say_encoded journal "$printed"; fi
else
  say serviceState missing
fi
say_processes
if [ -n "${told[runner]:-}" ]; then say runner64 "${told[runner]}"; fi
say version "${told[version]:-}"
if [ -n "${told[missing]:-}" ]; then say_encoded missing "${told[missing]}"; fi
say disk "$(disk)"
say_cleaned
find_cleaner
if [ -n "$cleaner" ]; then say_encoded cleaner "$cleaner"; fi
say_work
