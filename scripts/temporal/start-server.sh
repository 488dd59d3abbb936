#!/bin/sh
# Starts the server of temporalio/server, which takes the password of its database from the environment alone: from a file to that process.
set -eu
POSTGRES_PWD=$(cat "$POSTGRES_PWD_FILE")
export POSTGRES_PWD
exec "${SERVER:-/etc/temporal/entrypoint.sh}"
