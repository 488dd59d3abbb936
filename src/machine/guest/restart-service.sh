#!/bin/bash
# Proves that no job runs, stops the runner's service while its listener is frozen, sees it gone, puts its unit right, and starts it.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

enter_directory
read_unit
if ! is_loaded; then
  say unit "$unit"
  say state missing
  otherwise not-started "no unit of this runner is loaded"
fi
prove_idle runner
prove_installed
if [ "${given[force]:-no}" = yes ]; then
  stop_service
else
  freeze_idle
  end_frozen
fi
ensure_unit
start_service
