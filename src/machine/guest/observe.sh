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
  unit=
  if [ -n "$found" ]; then unit=$(unit_name); fi
  {
    if [ -n "$unit" ]; then take_unit; else take_unit </dev/null; fi
    take_act
    take_clocks
  } < <(systemctl show -p "Id,Description,$UNIT_PROPERTIES" -- ${unit:+"$unit"} runward-act.service "${clocks[@]}" || true)
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

# `USED% FREE-BYTES INODES-USED%` of the disk of the current folder, as df counts them; the last is nothing where the number is not fixed.
disk() {
  local all free available size inodes inodes_free used inodes_used=
  read -r all free available size inodes inodes_free < <(stat -f -c '%b %f %a %S %c %d' .)
  used=$((all - free))
  if [ "$inodes" -gt 0 ]; then inodes_used=$(((100 * (inodes - inodes_free) + inodes - 1) / inodes)); fi
  printf '%s%% %s %s\n' "$(((100 * used + used + available - 1) / (used + available)))" "$((available * size))" "$inodes_used"
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

# --- all of it -------------------------------------------------------------------------------------------------------------------------------

found=
if cd -- "$directory" 2>/dev/null; then found=yes; fi

read -r boot </proc/sys/kernel/random/boot_id
read -r awake _ </proc/uptime
say bootId "$boot"
say uptimeMs "$((10#${awake/./} * 10))"
read_units
say runningAct "$act"
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

say unit "$unit"
if is_loaded; then
  say serviceState "$active"
  say startedAgo "$started_ago"
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
say_work
