#!/bin/bash
# Does what is slow of an act, proves that no job runs, holds the listener and what would start another, and proves it again: a job that was begun
# meanwhile goes on.
# shellcheck source=room.sh
# shellcheck disable=SC2154 # of room.sh
. "${0%/*}/lib.sh"

if [ "$purpose" != sync-clock ]; then enter_directory; fi
case $purpose in
  drain) is_drained || otherwise not-paused 'the runner is not marked as drained any more' ;;
  restore) ;;
  sync-clock) whose=machine ;;
  *) prove_drain_seen ;;
esac
if [ "$whose" = runner ]; then prove_user; fi
read_unit
prove_idle "$whose"
case $purpose in
  config-cleanup) prepare_config_cleanup ;;
  restart-service) prove_installed ;;
  remove-from-cache) prepare_removal ;;
  make-room) prepare_room ;;
  sync-clock) prepare_sync ;;
esac
if [ -n "${why:-}" ]; then # nothing is to be done
  say kind paused
  say_text unread ''
  exit 0
fi
await_started
refresh_unit
prove_idle "$whose"
trap let_go EXIT
hold
if [ -n "$held" ]; then
  if [ "$(takers | describe)" != "$held" ]; then otherwise not-paused 'a listener was started, or has ended, meanwhile'; fi
  prove_idle "$whose"
elif [ "$whose" = runner ]; then
  refresh_unit
  if is_running; then otherwise not-paused "$unit is $active, and nothing of it could be held"; fi
fi
trap - EXIT
say kind paused
say_text unread "$(unread)"
