#!/bin/bash
# Reads the sizes of the workspaces in _work; `-` for one that could not be counted in time. Changes nothing.
# shellcheck source=disk.sh
. "${0%/*}/lib.sh"

enter_directory
read_workspaces
measure "${workspaces[@]}"
largest_first "${workspaces[@]}"
records=()
for path in "${sorted[@]:0:20}"; do records+=("${bytes_of["$path"]} ${path#_work/}"); done
say_list workspaces 20 "${records[@]}"
