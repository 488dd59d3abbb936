#!/bin/bash
# Stops the service of a frozen runner, once it is sure that it was frozen all the time, and has heard nothing since GitHub was asked whether
# it is idle: what it had not read by then is no job.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

# SIGINT waits for the frozen listener, and is what it hears first when it is thawed: it ends its session with GitHub, and reads no more of it.
end_frozen() {
  local pid
  if is_loaded && ! is_at_rest; then systemctl stop --no-block -- "$unit"; fi
  for pid in $(listeners); do
    kill -INT "$pid" 2>/dev/null || true
    kill -CONT "$pid" 2>/dev/null || true
  done
  within 15 no_listener || true
  for pid in $processes; do kill -CONT "$pid" 2>/dev/null || true; done
  stop_service
}

enter_directory
if ! is_drained; then
  thaw
  otherwise not-frozen 'the runner is not marked as drained any more'
fi
read_unit
if [ "$load" = foreign ]; then fail "$unit works in $works_in and not in $directory: another runner's unit is left alone"; fi
processes=$(freezable)
if [ -n "$processes" ]; then
  trap thaw EXIT
  arm_thaw "$processes"
  are_frozen "$processes" || otherwise not-frozen 'the runner was thawed meanwhile'
  prove_idle runner
  heard=$(unread)
  if [ "$heard" != "${given[unread]}" ]; then
    trap - EXIT # it stays frozen, so that GitHub can be asked again
    say kind heard
    say_text unread "$heard"
    exit "$OTHERWISE"
  fi
  end_frozen
  trap - EXIT
  disarm_thaw "$processes"
elif is_loaded && ! is_at_rest; then
  stop_service
fi
say kind stopped
