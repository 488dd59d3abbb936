#!/bin/bash
# Runs as root in the guest, read whole from standard input before any of it runs: receives a step, and starts it under the guest's fence.
#
#   look       SECONDS LIBRARY STEP PARAMETERS    runs a reading step at once, and ends it after so long
#   act        KEY FENCE SECONDS ATTEMPT LIBRARY STEP RECORD PARAMETERS SECRET
#                                                 runs a writing step as the unit runward-act, or waits for the one of the same KEY
#   fence-take HOLDER RECOVERS                    gives an operation the next number of the fence
#   cancel     KEY ATTEMPT                        ends the act of KEY, and keeps ATTEMPT from starting it
#
# What follows the driver on standard input is a file for each capital name after the verb's own words, given there by its length in bytes.
# HOLDER is such a file too. Answers are `name=value` lines between `runward-answer` and `runward-end`; values of names that end in 64 are base64.
set -euo pipefail
export LC_ALL=C
umask 077

UNIT=runward-act.service
STATE=/var/lib/runward # survives a reboot: the fence, and a record of each act
RUN=/run/runward       # does not: what acts are started from
KEPT_DAYS=7            # a retry comes within hours
UNFINISHED_SECONDS=7200

# A pipe that nothing comes from: to wait on it takes no process.
exec {nothing}<> <(:)

read -r received _ </proc/uptime
folder=$RUN/act.$$.$RANDOM

die() {
  printf 'runward: %s\n' "$1" >&2
  exit 1
}

# --- receiving -------------------------------------------------------------------------------------------------------------------------------

# receive NAME LENGTH …: the files that follow on standard input. Nothing is stored unless all came whole.
# Bash's own read and printf do it all: it is exact where head and tail of other makers read ahead, and quick where a process is dear.
receive() {
  local names=() texts=() text i
  while [ $# -gt 0 ]; do
    text=
    if [ "$2" -gt 0 ]; then IFS= read -r -N "$2" text || true; fi
    [ "${#text}" -eq "$2" ] || die "received ${#text} of the $2 bytes of $1: nothing was done"
    names+=("$1") texts+=("$text")
    shift 2
  done
  [ -d "$STATE" ] || mkdir -p "$STATE" || true # where the disk is full, whoever needs it finds out
  mkdir -p "$folder"
  trap 'rm -rf "$folder"' EXIT
  for i in "${!names[@]}"; do printf '%s' "${texts[i]}" >"$folder/${names[i]}"; done
  printf '%s\n' "$received" >"$folder/received"
}

# --- answering -------------------------------------------------------------------------------------------------------------------------------

# answer NAME=VALUE …: the end of the driver's work. The guest's clock comes last, with the time that passed since the driver began.
answer() {
  local now elapsed
  read -r now _ </proc/uptime
  elapsed=$(((10#${now/./} - 10#${received/./}) * 10))
  printf 'runward-answer\n'
  printf '%s\n' "$@" "elapsedMs=$elapsed" "clockMs=$((${EPOCHREALTIME/./} / 1000))" runward-end
  exit 0
}

encoded() {
  printf '%s' "$1" | base64 -w 0
}

encoded_end_of() {
  if [ -s "$1" ]; then tail -c 65536 "$1" | base64 -w 0; fi
}

# --- the fence: all below is called with the lock held ---------------------------------------------------------------------------------------

lock() {
  exec 9>"$RUN/lock"
  flock -w 30 9 || die 'the lock of the guest was not free within 30 s'
}

unlock() {
  exec 9>&-
}

# KEY of the act that runs, or nothing. Never guesses: without an answer of systemd the driver ends. A missing unit reads like a finished
# one, so what counts is whether a unit is loaded; one that has ended is unloaded at once, and until then no other can start.
running_key() {
  local shown key
  shown=$(systemctl show -p LoadState -p Description "$UNIT") || die 'systemd does not answer'
  key=${shown#*Description=}
  case $shown in
    *LoadState=not-found*) ;;
    *LoadState=loaded*) printf '%s\n' "${key%%$'\n'*}" ;;
    *) die "systemd does not know whether $UNIT runs: $shown" ;;
  esac
}

# Sets number and holder; 0 and nothing on a guest that has none yet.
read_fence() {
  number=0 holder=
  if [ -f "$STATE/fence" ]; then
    { read -r number && read -r holder; } <"$STATE/fence" || true
    [[ $number =~ ^[0-9]{1,15}$ ]] || number=0
  fi
}

write_fence() {
  { printf '%s\n%s\n' "$1" "$2" >"$STATE/fence.new" && sync "$STATE/fence.new" && mv "$STATE/fence.new" "$STATE/fence" && sync "$STATE"; } \
    || answer kind=refused-unfit "evidence64=$(encoded "the guest's disk is full: $STATE takes no file ($(room)). Make room, such as by \`docker system prune\` or \`journalctl --vacuum-size=100M\`, and recover again")"
}

# unfinished_by DIRECTORY: who has left a runner without a service, its configuration set aside, in another directory than this; nothing if
# nobody has, or so long ago that nobody comes back to it. As `note_unfinished` has it.
unfinished_by() {
  local note by at boot since this now
  read -r this </proc/sys/kernel/random/boot_id
  now=${received%.*}
  for note in "$STATE"/runner.*/unfinished; do
    { IFS= read -r by && IFS= read -r at && read -r boot && read -r since; } 2>/dev/null <"$note" || continue
    if [ ! -e "${note%/*}/aside" ] || [ -z "$(find "$note" -mmin -1440)" ]; then continue; fi # it serves, or nobody comes back to it
    if [ "$boot" != "$this" ]; then since=0; fi
    if [ "$at" != "$1" ] && [ $((now - since)) -lt "$UNFINISHED_SECONDS" ]; then
      printf '%s (%s)\n' "$by" "$at"
      return 0
    fi
  done
}

room() {
  stat -f -c '%a blocks of %S bytes and %d inodes are free' "$STATE" 2>&1 || true
}

# The record of KEY: systemd's result, exit code and exit status.
record_of() {
  local record=
  if [ -f "$STATE/act.$1/record" ]; then read -r record <"$STATE/act.$1/record" || true; fi
  printf '%s\n' "$record"
}

# What acts have left long ago.
prune() {
  find "$STATE" "$RUN" -mindepth 1 -maxdepth 1 '(' -name 'act.*' -o -name 'kept.*' -o -name 'cancelled.*' ')' -mtime "+$KEPT_DAYS" -exec rm -rf {} +
}

# The folder for the record of an act: on the disk, or in memory where that is full, since a step that puts things in order must be able to run.
# Whether there is room shows by writing: a file system counts blocks as free that it gives to nobody.
make_kept() {
  if [ -e "$1" ] || [ -L "$1" ]; then rm -rf "$1"; fi
  if { mkdir "$1" && printf '%65536s' ' ' >"$1/output"; } 2>/dev/null; then
    : >"$1/output"
  else
    rm -rf "$1" "$RUN/kept.$key"
    mkdir "$RUN/kept.$key"
    ln -s "$RUN/kept.$key" "$1"
  fi
}

start_act() {
  local kept=$STATE/act.$key input=null
  make_kept "$kept"
  printf '%s %s\n' "$fence" "$key" >"$RUN/running"
  if [ -s "$folder/secret" ]; then input=file:$folder/secret; fi
  systemd-run -q --collect "--unit=$UNIT" "--description=$key" \
    -p "RuntimeMaxSec=$seconds" -p TimeoutStopSec=5 -p SuccessExitStatus=75 -p "ExecStopPost=/bin/bash $folder/record.sh $kept $folder" \
    -p "StandardInput=$input" -p "StandardOutput=file:$kept/output" -p "StandardError=file:$kept/errors" \
    /bin/bash "$folder/step.sh" "$folder" 9>&-
  trap - EXIT # the folder belongs to the act now, and goes with it
}

# --- verbs -----------------------------------------------------------------------------------------------------------------------------------

look() {
  local seconds=$1
  receive lib.sh "$2" step.sh "$3" parameters "$4"
  timeout "$seconds" bash "$folder/step.sh" "$folder" >"$folder/output" </dev/null
  answer kind=done "output64=$(encoded_end_of "$folder/output")"
}

fence_take() {
  receive holder "$1" recovers "$2"
  local taker running number holder unfinished
  taker=$(tr -cd ' -~' <"$folder/holder")
  lock
  read_fence
  running=$(running_key)
  if [ -n "$running" ]; then
    answer kind=refused-in-progress "holder64=$(encoded "${holder:-$running}")"
  fi
  unfinished=$(unfinished_by "$(<"$folder/recovers")")
  if [ -n "$unfinished" ]; then answer kind=refused-unfinished "holder64=$(encoded "$unfinished")"; fi
  write_fence "$((number + 1))" "$taker"
  prune
  answer kind=taken "fence=$((number + 1))"
}

# Looks, and then either answers, starts, or waits and looks again. Only an act that this very driver started or waited for is answered with a
# record of failure; for an older one the step is run again, since every step converges.
act() {
  key=$1 fence=$2 seconds=$3 attempt=$4
  receive lib.sh "$5" step.sh "$6" record.sh "$7" parameters "$8" secret "$9"
  local running='' started='' record number holder other
  while true; do
    lock
    if [ -e "$RUN/cancelled.$attempt" ]; then answer kind=cancelled; fi
    read_fence
    if [ "$fence" -lt "$number" ]; then answer kind=refused-late "holder64=$(encoded "$holder")"; fi
    running=$(running_key)
    record=$(record_of "$key")
    if [ -z "$running" ]; then
      case $record in
        'success exited 0') answer_record ;;
        ?*) if [ -n "$started" ]; then answer_record; fi ;;
        *) if [ -n "$started" ]; then die "the act ended without a record"; fi ;;
      esac
      if [ "$fence" -gt "$number" ]; then write_fence "$fence" "$key"; fi
      start_act
      running=$key
    elif [ "$running" != "$key" ]; then
      { read -r other _ <"$RUN/running"; } 2>/dev/null || other=
      if [ "$other" != "$fence" ]; then
        answer kind=refused-in-progress "holder64=$(encoded "${holder:-$running}")"
      fi
    fi
    unlock
    if [ "$running" = "$key" ]; then started=yes; fi
    await_record "$running"
  done
}

answer_record() {
  local kept=$STATE/act.$key
  answer kind=done "record=$record" "output64=$(encoded_end_of "$kept/output")" "errors64=$(encoded_end_of "$kept/errors")"
}

# Waits until the act of KEY has a record, and no longer than is good without a look at the unit.
await_record() {
  local turn
  for ((turn = 0; turn < 50; turn += 1)); do
    if [ -f "$STATE/act.$1/record" ]; then return 0; fi
    read -r -t 0.2 -u "$nothing" || true
  done
}

cancel() {
  local running
  receive
  lock
  : >"$RUN/cancelled.$2"
  running=$(running_key)
  if [ "$running" = "$1" ]; then systemctl stop "$UNIT" 9>&-; fi
  answer kind=cancelled
}

verb=${1:-}
shift || true
case $verb in
  look) look "$@" ;;
  act) act "$@" ;;
  fence-take) fence_take "$@" ;;
  cancel) cancel "$@" ;;
  *) die "unknown verb '$verb'" ;;
esac
