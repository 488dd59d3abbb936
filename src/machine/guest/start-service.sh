#!/bin/bash
# Installs the runner's unit where it is missing, starts it where it is not active, and sees it stay active.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

enter_directory
read_unit
if ! is_loaded; then
  if [ "$load" = foreign ]; then fail "$unit works in $works_in and not in $directory: another runner's unit is left alone"; fi
  installed=$(./svc.sh install "${given[user]}" 2>&1) || true
  read_unit
  if ! is_loaded; then
    say unit "$unit"
    say state missing
    otherwise not-started "svc.sh install: $installed"
  fi
fi
start_service
