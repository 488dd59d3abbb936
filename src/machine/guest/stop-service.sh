#!/bin/bash
# Stops the service of a runner that is marked as drained and paused.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

enter_directory
is_drained || otherwise not-paused 'the runner is not marked as drained any more'
begin_stopping drain
prove_own_unit
stop_paused
say kind stopped
