#!/bin/bash
# Stand-in for the runner's RunnerService.js, and installed under that name: keeps the listener alive, by its exit code.
# shellcheck source=settings.sh
. ./bin/stand-in/settings.sh

RETRIES=10
TICK=0.2

stopping=
listener=
retryable=0
unknown=0

trap begin_stop INT TERM

# shellcheck disable=SC2317 # called by the trap
begin_stop() {
  if [ -n "$stopping" ]; then return; fi
  stopping=$(uptime_now)
  echo 'Shutting down runner listener'
  if [ -n "$listener" ]; then
    echo 'Sending SIGINT to runner listener to stop'
    kill -INT "$listener"
  fi
}

# Seconds since boot: no change of the clock moves them.
uptime_now() {
  # A trap runs with the empty IFS of the `read` that it interrupts.
  local now IFS=' '
  read -r now _ </proc/uptime
  echo "${now%.*}"
}

run_listener() {
  local line output code=0 killed=
  echo 'Starting Runner listener with startup type: service'
  # A process substitution starts with SIGINT ignored.
  exec {output}< <(exec env --default-signal=INT ./bin/Runner.Listener run --startuptype service)
  listener=$!
  echo "Started listener process, pid: $listener"
  while :; do
    line=
    if IFS= read -r -t "$TICK" -u "$output" line; then
      hear "$line"
    elif [ $? -le 128 ]; then
      hear "$line"
      break
    fi
    if [ -n "$stopping" ] && [ -z "$killed" ] && [ $(($(uptime_now) - stopping)) -ge "$STOP_GRACE" ]; then
      killed=yes
      echo 'Sending SIGKILL to runner listener'
      kill -KILL "$listener"
    fi
  done
  exec {output}<&-
  wait "$listener" || code=$?
  listener=
  echo "Runner listener exited with error code $code"
  decide "$code"
}

hear() {
  if [ -n "$1" ]; then printf '%s\n' "$1"; fi
  case $1 in *'Listening for Jobs'*) retryable=0 unknown=0 ;; esac
}

decide() {
  case $1 in
    0) end 'Runner listener exit with 0 return code, stop the service, no retry needed.' ;;
    1) end 'Runner listener exit with terminated error, stop the service, no retry needed.' ;;
    2)
      retryable=$((retryable + 1))
      if [ "$retryable" -ge "$RETRIES" ]; then
        end "Runner listener exit with retryable error, re-launch runner $RETRIES times, stop the service."
      else
        echo 'Runner listener exit with retryable error, re-launch runner in 5 seconds.'
      fi
      ;;
    5) end 'Runner listener exit with Session Conflict error, stop the service, no retry needed.' ;;
    *)
      unknown=$((unknown + 1))
      if [ "$unknown" -ge "${GITHUB_ACTIONS_SERVICE_EXIT_AFTER_N_FAILURES:-1000000}" ]; then
        end 'Runner listener exit with undefined return code, exceeding the limit of failures, stop the service.'
      else
        echo 'Runner listener exit with undefined return code, re-launch runner in 5 seconds.'
      fi
      ;;
  esac
}

end() {
  echo "$1"
  stopping=$(uptime_now)
}

echo 'Started running service'
while [ -z "$stopping" ]; do
  run_listener
  if [ -z "$stopping" ]; then
    sleep "$RELAUNCH" &
    wait $!
  fi
done
exit 0
