#!/bin/bash
# Proves that no job runs, freezes the listener and what would start another, and proves it again: a job that was begun meanwhile goes on.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

enter_directory
if ! is_drained; then otherwise not-frozen 'the runner is not marked as drained any more'; fi
prove_idle runner
read_unit
if is_loaded && [ -n "$active_for" ] && [ "$active_for" -lt 60 ]; then within 30 has_said_it_started || true; fi
processes=$(freezable)
if [ -n "$processes" ]; then
  trap thaw EXIT
  arm_thaw "$processes"
  for pid in $processes; do kill -STOP "$pid" 2>/dev/null || true; done
  within 5 are_frozen "$processes" || fail "a process of $directory does not stop ($(in_one_line "$processes"))"
  if [ "$(freezable)" != "$processes" ]; then otherwise not-frozen 'the runner started or ended a process meanwhile'; fi
  prove_idle runner
  trap - EXIT
fi
say kind frozen
say_text unread "$(unread)"
