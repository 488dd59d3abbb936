#!/bin/bash
# Puts the set-aside files back over whatever a failed configuration left. The service is not started.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

enter_directory
files=
if [ -e "$ASIDE" ]; then
  own_state
  begin_stopping restore
  stop_paused
  files=$(files_in "$ASIDE")
  drop_configuration
  give_configuration "$ASIDE"
fi
drop_all
rm -f -- "$STATE/unfinished"
say kind restored
say_text files "$files"
