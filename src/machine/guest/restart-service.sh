#!/bin/bash
# Proves that no job runs, stops the runner's service, sees its listener gone, and starts it.
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
prove_idle runner # to see that the programs run takes seconds
stop_service
start_service
