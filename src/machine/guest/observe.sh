#!/bin/bash
# Reads what the guest says about itself and one runner. Changes nothing, and ends within seconds whatever the guest holds.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

# bin is a link to bin.VERSION once the runner has updated itself; else the listener's newest log says it.
installed_version() {
  local target log
  target=$(readlink bin || true)
  if [[ $target =~ bin\.([0-9.]+)$ ]]; then
    printf '%s\n' "${BASH_REMATCH[1]}"
    return 0
  fi
  if [ ! -d _diag ]; then return 0; fi
  log=$(find _diag -maxdepth 1 -type f -name 'Runner_*.log' -printf '%T@ %p\n' | sort -n | sed -n '$s/^[^ ]* //p')
  if [ -n "$log" ]; then head -c 65536 -- "$log" | sed -n 's/.* Version: \([0-9][0-9.]*\).*/\1/p' | sed -n 1p; fi
}

# Versions of actions are folders OWNER/NAME/REF.
cache() {
  local actions=_work/_actions limit=${given[cache_seconds]:-3} bytes entries
  if [ ! -d "$actions" ]; then
    printf '0 0\n'
    return 0
  fi
  bytes=$(timeout "$limit" nice -n 19 du -s -B 1 -- "$actions" 2>/dev/null) || [ $? -ne 124 ] || return 0
  entries=$(timeout "$limit" find "$actions" -mindepth 3 -maxdepth 3 -type d 2>/dev/null | wc -l) || [ $? -ne 124 ] || return 0
  printf '%s %s\n' "${bytes%%[[:space:]]*}" "$entries"
}

running_act() {
  local shown
  shown=$(systemctl show -p ActiveState -p Description runward-act.service)
  case $shown in
    *ActiveState=inactive* | *ActiveState=failed*) ;;
    *) printf '%s\n' "$shown" | sed -n 's/^Description=//p' ;;
  esac
}

count() {
  grep -c . || true
}

say bootId "$(cat /proc/sys/kernel/random/boot_id)"
say runningAct "$(running_act)"
say workersOnMachine "$(workers machine | count)"

if cd -- "$directory" 2>/dev/null; then
  read_unit
  say unit "$unit"
  if is_loaded; then say serviceState "$active"; else say serviceState missing; fi
  say_text drain "$(drain_mark)"
  say workers "$(workers runner | count)"
  say listeners "$(listeners | count)"
  if [ -f .runner ]; then say runner64 "$(head -c 65536 .runner | base64 -w 0)"; fi
  say version "$(installed_version)"
  say_text missing "$(missing_program)"
  say disk "$(timeout 5 df -P -B 1 . | awk 'NR == 2 { print $5, $4 }')"
  say cache "$(cache)"
else
  say unit ''
  say serviceState missing
  say workers 0
  say listeners 0
  say disk "$(timeout 5 df -P -B 1 / | awk 'NR == 2 { print $5, $4 }')"
fi
