#!/bin/bash
# Reads the sizes of the workspaces in _work. Changes nothing.
# shellcheck source=disk.sh
. "${0%/*}/lib.sh"

enter_directory
folders=()
if is_folder _work; then
  shopt -s nullglob
  for path in _work/*; do
    if [[ $path != _work/_* ]] && is_folder "$path"; then folders+=("$path"); fi
  done
  shopt -u nullglob
fi
measure "${folders[@]}"
largest_first "${folders[@]}"
records=()
for path in "${sorted[@]:0:20}"; do records+=("${bytes_of["$path"]} ${path#_work/}"); done
say_list workspaces 20 "${records[@]}"
