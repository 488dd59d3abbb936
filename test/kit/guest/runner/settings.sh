# shellcheck shell=bash disable=SC2034
# Times of the stand-ins, in seconds: the real programs' own, and what a test puts in their place.

# Between two tries to get a session.
SESSION_RETRY=30
# How long another session of the same runner is waited for.
SESSION_CONFLICT=240
# How long a wrong clock is waited for.
CLOCK_RETRY=1800
# Until the listener is started again.
RELAUNCH=5
# How long a listener may take to end.
STOP_GRACE=30
# Until the service's program can be told to stop: it is deaf until then.
SERVICE_START=0.1
# What config.sh takes between its registration at GitHub and the files that it writes.
CONFIGURE=0
# Names of further files by which a runner counts as configured.
CONFIGURED_BY=
# Whether a running job goes on when it is cancelled.
JOB_IGNORES_CANCEL=no

if [ -f /etc/runner-stand-in.env ]; then
  # shellcheck source=/dev/null
  . /etc/runner-stand-in.env
fi
