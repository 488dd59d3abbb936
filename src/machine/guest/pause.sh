#!/bin/bash
# Proves that no job runs, freezes the listener and what would start another, and proves it again: a job that was begun meanwhile goes on.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

enter_directory
if [ "${given[purpose]}" = drain ] && ! is_drained; then otherwise not-paused 'the runner is not marked as drained any more'; fi
prove_idle runner
read_unit
freeze_idle
if [ "$(freezable)" != "$processes" ]; then otherwise not-paused 'the runner started or ended a process meanwhile'; fi
trap - EXIT
say kind paused
say_text unread "$(unread)"
