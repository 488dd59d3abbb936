#!/bin/bash
# Brings the guest's clock to its time servers, or to the host's clock where no server answers. An act on the whole machine.
# shellcheck source=lib.sh
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

# NTPSynchronized stays `yes` over a suspend, so a fresh sync is waited for.
is_synchronized() {
  [ -e /run/systemd/timesync/synchronized ]
}

sync_by_timesyncd() {
  timedatectl set-ntp true || return 1
  rm -f /run/systemd/timesync/synchronized
  systemctl restart systemd-timesyncd.service || return 1
  within "${given[ntp_seconds]:-20}" is_synchronized
}

# Time of the newest measurement that chrony goes by. Its fraction changes without one.
reference() {
  timeout 5 chronyc -c tracking | cut -d, -f4 | cut -d. -f1
}

is_measured_anew() {
  [ "$(reference)" != "$before" ]
}

sync_by_chrony() {
  before=$(reference)
  timeout 5 chronyc online >/dev/null || return 1
  timeout 5 chronyc burst 2/4 >/dev/null || return 1
  within "${given[ntp_seconds]:-20}" is_measured_anew || return 1
  timeout 5 chronyc makestep >/dev/null
}

sync_by_time_server() {
  if systemctl -q is-active chrony.service || systemctl -q is-active chronyd.service; then
    sync_by_chrony
  else
    sync_by_timesyncd
  fi
}

prove_idle machine
source=ntp
if ! sync_by_time_server >&2; then
  source=host
  off=$(offset)
  if [ "${off#-}" -ge "$WORTH_SETTING" ]; then
    right=$(($(date +%s%3N) - off))
    date -s "@${right%???}.${right: -3}" >/dev/null
  fi
fi
say kind synced
say source "$source"
