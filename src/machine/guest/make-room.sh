#!/bin/bash
# Makes room on the disk from one source, between two jobs.
# shellcheck source=room.sh
. "${0%/*}/lib.sh"

# free_bytes PLACE …: where the first of them is that is there.
free_bytes() {
  local blocks size
  while ! is_there "$1"; do shift; done
  read -r blocks size < <(stat -f -c '%a %S' -- "$1")
  printf '%s\n' "$((blocks * size))"
}

end_if_nothing() {
  if [ -z "$why" ]; then return 0; fi
  say kind nothing
  say_text why "$why"
  say disk "$(disk)"
  exit 0
}

enter_directory
prove_drain_seen
purpose=make-room
find_choice
# shellcheck source=/dev/null
. "$choice" || otherwise not-paused 'it was let go meanwhile'
if [ "$choice" = /dev/null ]; then prepare_room; fi
end_if_nothing
place=_work
case ${given[source]} in
  runner-package) place=$ROOTS ;;
  diagnostic-logs) place=_diag ;;
  docker) place=/var/lib/docker ;;
  journal) place=/var/log/journal ;;
  apt) place=/var/cache/apt ;;
esac
before=$(free_bytes "$place" .)
if [ "${given[source]}" != runner-package ]; then begin_between_jobs make-room; fi
if [ "$whose" = machine ] && [ -n "$held" ]; then hold; fi # for what a command may take
"take_${given[source]//-/_}"
let_go
delete_taken
end_if_nothing
say kind made
say bytes "$(($(free_bytes "$place" .) - before))"
say items "$items"
say disk "$(disk)"
