#!/bin/bash
# Lets the runner's service start at boot again, and takes the mark away last: a resume that was cut off is still seen as drained.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

enter_directory
prove_drain_seen
let_go
read_unit
if is_loaded; then systemctl -q enable -- "$unit"; fi
own_state
rm -f -- "$STATE/drained"
sync "$STATE"
let_go # who waits for the end of a job may have paused it before the mark went
say kind unmarked
