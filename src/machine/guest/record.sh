#!/bin/bash
# ExecStopPost of an act: record.sh KEPT FOLDER writes how the act ended into KEPT, and removes what it was started from.
set -u
rm -rf "$2"
printf '%s %s %s\n' "$SERVICE_RESULT" "${EXIT_CODE:-none}" "${EXIT_STATUS:-none}" >"$1/record.new"
sync "$1/record.new"
mv "$1/record.new" "$1/record"
