#!/bin/bash
# Writes the runner's unit where it is missing or not as it should be, starts it where it is not active, and sees it stay active.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

enter_directory
if is_drained && is_configured; then rm -f -- "$STATE/unfinished"; fi # it stays as it is
prove_drain_seen
read_unit
prove_own_unit
if [ "$active" != active ]; then
  prove_no_update
  prove_installed
fi
if ! is_loaded || is_at_rest; then ensure_unit; fi
systemctl -q is-enabled -- "$unit" || systemctl -q enable -- "$unit"
start_service
