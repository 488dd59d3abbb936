#!/bin/bash
# Reads what the actions cache holds, and what of it would go. Changes nothing, also not when something was last used.
# shellcheck source=disk.sh
. "${0%/*}/lib.sh"

enter_directory
read_entries
measure "${entries[@]}"
choose_entries
if [ "${given[kind]}" != unused ]; then read_logs "${chosen[@]}"; fi

add_up "${entries[@]}"
say bytes "$total"
say entries "${#entries[@]}"
add_up "${chosen[@]}"
say foundBytes "$total"
say foundEntries "${#chosen[@]}"

largest_first "${chosen[@]}"
records=()
for path in "${sorted[@]:0:100}"; do
  unused=- used=${used_at["$path"]} # a name inside of an arithmetic expression is run as code by bash before 5.2
  case $used in
    - | 0) ;;
    *) unused=$((EPOCHSECONDS - used)) ;;
  esac
  records+=("${bytes_of["$path"]/-/0} ${unused/#-[0-9]*/0} ${path#"$CACHE"/}")
done
say_list damage 200 "${damages[@]}"
say_list found 100 "${records[@]}"
