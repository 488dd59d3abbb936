#!/bin/bash
# Installs the runner's unit where it is missing, starts it where it is not active, and sees it stay active.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

# svc.sh writes the unit first, then runsvc.sh, enables the unit, and writes .service last.
is_installed() {
  [ -s .service ] && [ -s runsvc.sh ] && systemctl -q is-enabled -- "$unit"
}

install_unit() {
  local installed
  installed=$(./svc.sh install "$user" 2>&1) || true
  read_unit
  if ! is_loaded; then
    say unit "$unit"
    say state missing
    otherwise not-started "svc.sh install: $installed"
  fi
}

enter_directory
read_unit
if [ "$load" = foreign ]; then fail "$unit works in $works_in and not in $directory: another runner's unit is left alone"; fi
if [ "$active" != active ]; then
  prove_no_update
  prove_installed
fi
if ! is_loaded; then
  install_unit
elif is_at_rest && [ "$unit_file" = "/etc/systemd/system/$unit" ] && ! is_installed; then
  rm -f -- "$unit_file" # svc.sh refuses to install over it
  systemctl daemon-reload
  install_unit
fi
start_service
