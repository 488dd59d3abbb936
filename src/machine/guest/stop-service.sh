#!/bin/bash
# Stops the service of a frozen runner, once it is sure that it was frozen all the time, and has heard nothing since GitHub was asked whether
# it is idle: what it had not read by then is no job.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

enter_directory
if ! is_drained; then
  thaw
  otherwise not-paused 'the runner is not marked as drained any more'
fi
read_unit
prove_own_unit
processes=$(freezable)
if [ -n "$processes" ]; then
  trap thaw EXIT
  arm_thaw "$processes"
  are_frozen "$processes" || otherwise not-paused 'the runner was thawed meanwhile'
  prove_idle runner
  heard=$(unread)
  if [ "$heard" != "${given[unread]}" ]; then
    trap - EXIT # it stays frozen, so that GitHub can be asked again
    say kind heard
    say_text unread "$heard"
    exit "$OTHERWISE"
  fi
  end_frozen
elif is_loaded && ! is_at_rest; then
  stop_service
fi
say kind stopped
