#!/bin/bash
# Deletes the set-aside files, and what the registration needed.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

files=$(files_in "$ASIDE")
drop_all
rm -f -- "$STATE/unfinished"
say kind discarded
say_text files "$files"
