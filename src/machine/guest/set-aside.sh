#!/bin/bash
# Proves that no job runs and that the runner can be set up anew, stops and removes the runner's own service, and moves its configuration files aside.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

# remove_unit FOLDER: the unit file that svc.sh wrote goes aside too; one in another place was not written by it, and stays.
remove_unit() {
  read_unit
  if ! is_loaded || [ "$unit_file" != "/etc/systemd/system/$unit" ]; then return 0; fi
  own_folder "$1/unit"
  if [ -L "$ENABLED/$unit" ]; then mv -fT -- "$ENABLED/$unit" "$1/unit/enabled"; fi # kept: a full disk has no room for another
  systemctl -q disable -- "$unit"
  mv -fT -- "$unit_file" "$1/unit/$unit"
  systemctl daemon-reload
}

enter_directory
rm -rf "$ASIDE.old"
if [ -e "$ASIDE/restoring" ]; then finish_restoring; fi
prove_idle runner
id "$user" >/dev/null || otherwise refused-unfit "there is no user $user in the guest: check RUNNER_USER or the file's \`user\`"
prove_room
prove_installed
stop_service

if [ -e "$ASIDE.new" ] || is_configured || [ ! -e "$ASIDE" ]; then
  own_folder "$ASIDE.new"
  own_folder "$ASIDE.new/leftover" # now, while the disk has room
  remove_unit "$ASIDE.new"
  move_files "$ASIDE.new"
  if [ -s .path ]; then mv -fT -- .path "$ASIDE.new/path"; fi
  drop_aside
  mv -T -- "$ASIDE.new" "$ASIDE"
else # a set from before is there, and the directory holds at most what a cut-off config.sh left
  own_folder "$ASIDE"
  remove_unit "$ASIDE"
  move_leftovers
fi

say kind set-aside
say agentId "$(runner_field agentId "$ASIDE/.runner")"
say_text files "$(aside_files)"
