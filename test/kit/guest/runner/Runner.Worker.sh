# shellcheck shell=bash
# Stand-in for Runner.Worker: a job that lasts JOB_SECONDS, started by the listener as `Runner.Worker spawnclient IN OUT`.
# shellcheck source=settings.sh
. "${0%/*}/settings.sh"

SUCCEEDED=100
CANCELED=103

if [ "$JOB_IGNORES_CANCEL" = yes ]; then trap '' TERM; else trap 'exit $CANCELED' TERM; fi

# A socket that nothing comes from: waiting on it needs no process, and no clock.
exec {nothing}<>/dev/udp/127.0.0.1/9
for ((tick = 0; tick < JOB_SECONDS * 5; tick += 1)); do
  read -r -t 0.2 -u "$nothing"
done
exit "$SUCCEEDED"
