#!/bin/bash
# Stand-in for the runner's config.sh.
if [ "$(id -u)" -eq 0 ] && [ -z "${RUNNER_ALLOW_RUNASROOT:-}" ]; then
  echo 'Must not run with sudo'
  exit 1
fi

cd "$(dirname "$0")" || exit 1
# shellcheck source=env.sh
. ./env.sh

if [ "${1:-}" = remove ]; then
  ./bin/Runner.Listener "$@"
else
  ./bin/Runner.Listener configure "$@"
fi
