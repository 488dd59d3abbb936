#!/bin/bash
# Stand-in for the runner's RunnerService.js, and installed under that name: keeps the listener alive, by its exit code.
# shellcheck source=settings.sh
. ./bin/stand-in/settings.sh

RETRIES=10

stopping=
listener=
retryable=0
unknown=0

# A trap that runs inside a `read -t` is cut off when the time of that `read` is over: none has a limit here.
trap begin_stop INT TERM

# shellcheck disable=SC2317,SC2329 # called by the trap
begin_stop() {
  if [ -n "$stopping" ]; then return; fi
  stopping=yes
  echo 'Shutting down runner listener'
  if [ -n "$listener" ]; then
    echo 'Sending SIGINT to runner listener to stop'
    kill -INT "$listener"
    # A timer of the very same process in the real one, so that nothing of its name stays behind.
    bash -c 'sleep "$1"; if [ "$(ps -o ppid= -p "$2" | tr -d " ")" = "$3" ]; then echo "Sending SIGKILL to runner listener"; kill -KILL "$2"; fi' \
      kill-late "$STOP_GRACE" "$listener" $$ &
  fi
}

run_listener() {
  local line output code=0
  echo 'Starting Runner listener with startup type: service'
  # A process substitution starts with SIGINT ignored.
  exec {output}< <(exec env --default-signal=INT ./bin/Runner.Listener run --startuptype service)
  listener=$!
  echo "Started listener process, pid: $listener"
  while IFS= read -r -u "$output" line; do
    printf '%s\n' "$line"
    case $line in *'Listening for Jobs'*) retryable=0 unknown=0 ;; esac
  done
  exec {output}<&-
  wait "$listener" || code=$?
  listener=
  echo "Runner listener exited with error code $code"
  decide "$code"
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
  stopping=yes
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
