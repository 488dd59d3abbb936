#!/bin/bash
# Stand-in for the runner's svc.sh; config.sh makes it with the unit's name baked in.

SVC_NAME="{{SvcNameVar}}"
SVC_NAME=${SVC_NAME// /_}
SVC_DESCRIPTION="{{SvcDescription}}"

RUNNER_ROOT=$(pwd)
UNIT_PATH=/etc/systemd/system/$SVC_NAME
CONFIG_PATH=.service
TEMPLATE_PATH=${GITHUB_ACTIONS_RUNNER_SERVICE_TEMPLATE:-$RUNNER_ROOT/bin/actions.runner.service.template}

if [ "$(id -u)" -ne 0 ]; then
  echo 'Must run as sudo'
  exit 1
fi

failed() {
  echo "Failed: ${1:-Undefined error}" >&2
  exit 1
}

if [ ! -f "$TEMPLATE_PATH" ]; then
  failed 'Must run from runner root or install is corrupt'
fi

install_service() {
  local user=${1:-${SUDO_USER:-}} uid gid
  echo "Creating launch runner in $UNIT_PATH"
  if [ -f "$UNIT_PATH" ]; then failed "error: exists $UNIT_PATH"; fi

  # Without a user, `id` answers for the caller: the service runs as root.
  echo "Run as user: $user"
  # shellcheck disable=SC2086
  uid=$(id -u $user) || failed 'User does not exist'
  echo "Run as uid: $uid"
  # shellcheck disable=SC2086
  gid=$(id -g $user) || failed 'Group not available'
  echo "gid: $gid"

  sed "s|{{User}}|$user|; s|{{Description}}|$SVC_DESCRIPTION|; s|{{RunnerRoot}}|$RUNNER_ROOT|" "$TEMPLATE_PATH" >"$UNIT_PATH" \
    || failed 'failed to create replacement temp file'
  chmod 664 "$UNIT_PATH"
  systemctl daemon-reload || failed 'failed to reload daemons'

  cp ./bin/runsvc.sh ./runsvc.sh || failed 'failed to copy runsvc.sh'
  chown "$uid:$gid" ./runsvc.sh
  chmod 755 ./runsvc.sh

  systemctl enable "$SVC_NAME" || failed "failed to enable $SVC_NAME"
  echo "$SVC_NAME" >"$CONFIG_PATH"
  chown "$uid:$gid" "$CONFIG_PATH"
}

start() {
  systemctl start "$SVC_NAME" || failed "failed to start $SVC_NAME"
  status
}

stop() {
  systemctl stop "$SVC_NAME" || failed "failed to stop $SVC_NAME"
  status
}

uninstall() {
  if [ -f "$UNIT_PATH" ]; then
    stop
    systemctl disable "$SVC_NAME" || failed "failed to disable $SVC_NAME"
    rm "$UNIT_PATH" || failed "failed to delete $UNIT_PATH"
  else
    echo "Service $SVC_NAME is not installed"
  fi
  rm -f "$CONFIG_PATH"
  systemctl daemon-reload || failed 'failed to reload daemons'
}

status() {
  if [ ! -f "$UNIT_PATH" ]; then
    printf '\nnot installed\n\n'
    exit 1
  fi
  printf '\n%s\n' "$UNIT_PATH"
  systemctl --no-pager status "$SVC_NAME"
}

case ${1:-} in
  install) install_service "${2:-}" ;;
  start) start ;;
  stop) stop ;;
  status) status ;;
  uninstall) uninstall ;;
  *) printf '\nUsage:\n./svc.sh [install, start, stop, status, uninstall]\nCommands:\n   install [user]: Install runner service as Root or specified user.\n' ;;
esac

exit 0
