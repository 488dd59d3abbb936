#!/bin/bash
# Stand-in for the runner's runsvc.sh: turns systemd's SIGTERM into a SIGINT for the service's program.
# shellcheck source=settings.sh
. ./bin/stand-in/settings.sh

trap 'kill -INT $PID' TERM INT

if [ -f .path ]; then
  PATH=$(cat .path)
  export PATH
  echo ".path=$PATH"
fi

# Bash starts a background job with SIGINT ignored; the program is deaf until it has set its own handler.
(
  sleep "$SERVICE_START"
  exec env --default-signal=INT ./externals/node20/bin/node ./bin/RunnerService.js
) &
PID=$!
wait $PID
trap - TERM INT
wait $PID
