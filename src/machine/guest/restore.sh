#!/bin/bash
# Puts the set-aside files back over whatever a failed configuration left. The service is not started.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

enter_directory
rm -rf "$ASIDE.old"
files=
if [ -e "$ASIDE.new" ]; then # a set-aside that was cut off is ended first, so that one way leads back
  prove_idle runner
  stop_service
  own_folder "$ASIDE.new"
  move_files "$ASIDE.new"
  drop_aside
  mv -T -- "$ASIDE.new" "$ASIDE"
fi
if [ -e "$ASIDE" ]; then
  own_folder "$ASIDE"
  if [ ! -e "$ASIDE/restoring" ]; then
    prove_idle runner
    stop_service
    move_leftovers
    : >"$ASIDE/restoring"
  fi
  files=$(aside_files)
  finish_restoring
fi
say kind restored
say_text files "$files"
