#!/bin/bash
# Deletes the set-aside files.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

enter_directory
rm -rf "$ASIDE.old"
files=$(aside_files)
drop_aside
say kind discarded
say_text files "$files"
