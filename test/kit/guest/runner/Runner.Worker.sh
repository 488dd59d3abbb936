# shellcheck shell=bash
# Stand-in for Runner.Worker: a job that lasts JOB_SECONDS, or until SIGUSR1 ends it well; started by the listener as `Runner.Worker spawnclient IN OUT`.
# shellcheck source=settings.sh
. "${0%/*}/settings.sh"

SUCCEEDED=100

trap 'exit "$SUCCEEDED"' USR1
if [ "$JOB_IGNORES_CANCEL" = yes ]; then trap '' TERM; fi

# A socket that nothing comes from: waiting on it needs no process of another name, and no clock.
exec {nothing}<>/dev/udp/127.0.0.1/9
read -r -t "$JOB_SECONDS" -u "$nothing"
exit "$SUCCEEDED"
