#!/bin/bash
# Stops the runner's own service while its listener is paused, and moves its configuration files into a folder of root's.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

enter_directory
prove_drain_seen
begin_stopping config-cleanup prepare_config_cleanup
own_state
note_unfinished
stop_paused
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
