#!/bin/bash
# How a guest's clock is brought to its time servers: it travels appended to lib.sh, for the step that does it and the pause before it.
# shellcheck source=lib.sh
if [ -z "${STEP_FOLDER:-}" ]; then . "${0%/*}/lib.sh"; fi

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

# What is slow of it: chrony measures without a step. timesyncd steps as soon as it has an answer.
prepare_sync() {
  is_measured=no
  if has_chrony && measure_by_chrony; then is_measured=yes; fi
  declare -p is_measured >"$STEP_FOLDER/chosen"
}

measure_by_chrony() {
  before=$(reference)
  timeout 5 chronyc online >/dev/null || return 1
  timeout 5 chronyc burst 2/4 >/dev/null || return 1
  within "${given[ntp_seconds]:-20}" is_measured_anew
}

has_chrony() {
  systemctl -q is-active chrony.service || systemctl -q is-active chronyd.service
}

sync_by_time_server() {
  if has_chrony; then
    [ "$is_measured" = yes ] && timeout 5 chronyc makestep >/dev/null
  else
    sync_by_timesyncd
  fi
}
