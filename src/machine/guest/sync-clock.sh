#!/bin/bash
# Brings the guest's clock to its time servers, or to the host's clock where no server answers. An act on the whole machine, whose
# listeners are all paused.
# shellcheck source=clock.sh
. "${0%/*}/lib.sh"

# A host's time is as old as the way into the guest, so it is not set for less. Milliseconds.
WORTH_SETTING=2000

# Guest's clock minus host's clock, in milliseconds: the host's time came with the call, and what passed since is counted by the uptime.
offset() {
  local received now
  read -r received <"$STEP_FOLDER/received"
  read -r now _ </proc/uptime
  printf '%s\n' $(($(date +%s%3N) - (given[host_ms] + (10#${now/./} - 10#${received/./}) * 10)))
}

# Ends the step unless what takes jobs is still held, as it was when the wait began.
prove_still_stopped() {
  if is_forced; then return 0; fi
  if [ -z "$held" ]; then
    prove_nothing_lives
  elif ! is_all_held; then
    otherwise not-paused 'a listener was started, or let go, meanwhile'
  fi
  prove_idle machine
}

whose=machine purpose=sync-clock
find_pause
is_measured=
if [ -n "$pause_folder" ]; then
  # shellcheck source=/dev/null
  . "$pause_folder/chosen" || otherwise not-paused 'it was let go meanwhile'
fi
begin_stopping sync-clock prepare_sync
if [ -n "$held" ]; then hold; fi # for as long as the time server may take
source=ntp
if ! sync_by_time_server >&2; then
  source=host
  off=$(offset)
  prove_still_stopped
  if [ "${off#-}" -ge "$WORTH_SETTING" ]; then
    right=$(($(date +%s%3N) - $(offset)))
    date -s "@${right%???}.${right: -3}" >/dev/null
  fi
fi
say kind synced
say source "$source"
