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
  names=() said=
  if [ -n "$found" ]; then said=$(ask_user "$UNIT_SAID" || true); fi
  if [ -n "$found" ]; then unit_names "$said"; fi
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

# --- the runner's directory ------------------------------------------------------------------------------------------------------------------

# Sets version. bin is a link to bin.VERSION once the runner has updated itself; else the listener's newest log says it.
read_version() {
  local log newest='' line lines=0
  version=
  if [ -L bin ] && [[ $(readlink bin || true) =~ bin\.([0-9.]+)$ ]]; then
    version=${BASH_REMATCH[1]}
    return 0
  fi
  for log in _diag/Runner_*.log; do
    if [ -f "$log" ] && { [ -z "$newest" ] || [ "$log" -nt "$newest" ]; }; then newest=$log; fi
  done
  if [ -z "$newest" ]; then return 0; fi
  while [ "$((lines += 1))" -lt 200 ] && IFS= read -r -n 4096 line; do
    if [[ $line =~ \ Version:\ ([0-9][0-9.]*) ]]; then
      version=${BASH_REMATCH[1]}
      return 0
    fi
  done <"$newest"
}

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
# itself. What is not counted in time is not said; a tree that was is small enough for bash to list.
say_work() {
  local size folder work='' cache='' entries
  shopt -s nullglob dotglob
  if [ ! -d _work ]; then
    say work '0 0'
    say cache '0 0 0'
    return 0
  fi
  cd _work
  while IFS=$'\t' read -r size folder; do
    case $folder in
      .) work=$size ;; # the last line
      ./_actions) cache=$size ;;
    esac
  done < <(sizes -d 1 .)
  if [ -n "$work" ]; then
    entries=(*)
    say work "$work ${#entries[@]}"
  fi
  if [ ! -d _actions ]; then
    cache=0
  elif [ -z "$cache" ]; then
    IFS=$'\t' read -r cache _ < <(sizes -s _actions) || true
  fi
  if [ -n "$cache" ]; then
    entries=(_actions/*/*/*/) # versions of actions are folders OWNER/NAME/REF
    say cache "$cache ${#entries[@]} $(damaged_actions)"
  fi
  cd "$OLDPWD"
}

# How many actions are empty or gone although the runner has noted that they are whole, and takes them for that.
damaged_actions() {
  local note files damaged=0
  for note in _actions/*/*/*.completed; do
    files=("${note%.completed}"/*)
    if [ "${#files[@]}" -eq 0 ]; then damaged=$((damaged + 1)); fi
  done
  printf '%s\n' "$damaged"
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

# --- what cleans besides Runward -------------------------------------------------------------------------------------------------------------

# Sets cleaner to the first line of cron, services and scripts that removes things below this runner's directory, as FILE: LINE. One process
# looks for what may be one; bash then takes its time with the few lines that it has found.
find_cleaner() {
  local place below removes file line tables files named
  place="(${home//[!A-Za-z0-9\/_-]/.}|${directory//[!A-Za-z0-9\/_-]/.})([]/\"'[:space:]*;]|\$)"
  below="($place|_work/_t(emp|ool)|(^|[^A-Za-z0-9_])_actions)"
  removes="(^|[^A-Za-z0-9_.-])((rm|rmdir|unlink|shred|tmpreaper|tmpwatch)[[:space:]].*$below|find[[:space:]].*$below.*(-delete|rm[[:space:]]))"
  cleaner=
  shopt -s nullglob
  tables=(/etc/crontab /etc/cron.d/* /var/spool/cron/crontabs/* /etc/systemd/system/*.service)
  files=(/etc/cron.{hourly,daily,weekly,monthly}/* /etc/tmpfiles.d/* /usr/local/bin/* /usr/local/sbin/*)
  shopt -u nullglob
  read_named "${tables[@]}"
  while IFS=: read -r file line; do
    line=${line#"${line%%[![:space:]]*}"}
    if is_cleaner "$file" "$line"; then
      cleaner="$file: $line"
      break
    fi
  done < <(timeout 5 grep -sIHE -d skip "$removes|^[A-Za-z][^[:space:]]*[[:space:]]+$place" -- "${tables[@]}" "${named[@]}" "${files[@]}")
}

# read_named TABLE …: sets named to the files that lines of cron and services name by an absolute path, but for the system's own programs.
read_named() {
  local table line word
  named=()
  set -f
  for table in "$@"; do
    case ${table##*/} in actions.runner.*) continue ;; esac
    if [ ! -f "$table" ]; then continue; fi
    while IFS= read -r line; do
      case $line in '#'* | '') continue ;; esac
      for word in $line; do
        word=${word#Exec*=}
        word=${word#[-@:+!]}
        case $word in
          /bin/* | /sbin/* | /usr/*) ;;
          /*) if [ -f "$word" ]; then named+=("$word"); fi ;;
        esac
      done
    done <"$table"
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
if cd -- "$directory" 2>/dev/null; then found=yes; fi

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

if [ -z "$found" ]; then
  cd /
  say unit ''
  say serviceState missing
  say workers 0
  say listeners 0
  say disk "$(disk)"
  exit 0
fi

if is_loaded || [ -n "$said" ]; then say unit "$unit"; else say unit ''; fi
if is_loaded; then
  say serviceState "$active"
  say startedAgo "$started_ago"
  altered=$(unit_alteration)
  if [ -n "$altered" ]; then say_encoded altered "$altered"; fi
  if printed=$(journal) && [ -n "$printed" ]; then say_encoded journal "$printed"; fi
else
  say serviceState missing
fi
if [ -n "$running" ]; then running=$(workers runner); fi
say_count workers "$running"
running=$(listeners)
say_count listeners "$running"
if [ -f .runner ]; then
  IFS= read -r -d '' -n "$ENOUGH" registration <.runner || true
  say_encoded runner "$registration"
fi
read_version
say version "$version"
missing=$(missing_program)
if [ -n "$missing" ]; then say_encoded missing "$missing"; fi
mark=$(drain_mark)
if [ -n "$mark" ]; then say_encoded drain "$mark"; fi
say disk "$(disk)"
say_cleaned
find_cleaner
if [ -n "$cleaner" ]; then say_encoded cleaner "$cleaner"; fi
say_work
