#!/bin/sh
# Starts Runward from the installation that this script lies in, as the same process, so that the container's signals reach it.
set -eu
exec node "$(dirname -- "$0")/dist/cli/main.js" "$@"
