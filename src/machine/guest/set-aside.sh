#!/bin/bash
# Proves that no job runs and that the runner can be set up anew, stops the runner's own service, and moves its configuration files into a folder of root's.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

enter_directory
prove_idle runner
prove_not_drained
id "$user" >/dev/null || otherwise refused-unfit "there is no user $user in the guest: check RUNNER_USER or the file's \`user\`"
prove_room
own_state
prove_installed
prove_registration
stop_service
# A reboot before the end of the recovery starts no runner without a configuration.
if is_loaded; then systemctl -q disable -- "$unit"; fi

drop "$REGISTERED"
if is_configured || [ ! -e "$ASIDE" ]; then # else a set from before is there, and the directory holds at most half a configuration
  rm -rf -- "$ASIDE.new"
  own_folder "$ASIDE.new"
  take_configuration "$ASIDE.new"
  drop "$ASIDE"
  mv -T -- "$ASIDE.new" "$ASIDE"
  sync -- "$STATE"
fi
drop_configuration

say kind set-aside
say agentId "$(runner_field agentId "$ASIDE/.runner")"
say_text files "$(files_in "$ASIDE")"
