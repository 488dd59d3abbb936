#!/bin/bash
# Stops the runner's service while its listener is paused, sees it gone, puts its unit right, and starts it.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

enter_directory
prove_drain_seen
read_unit
if ! is_loaded; then not_started missing 'no unit of this runner is loaded'; fi
begin_stopping restart-service prove_installed
stop_paused
ensure_unit
start_service
