#!/bin/bash
# Installed as bin/Runner.Listener and bin/Runner.Worker: becomes the process of that name.
cd "${0%/*}/.." || exit 1
exec -a "$PWD/bin/${0##*/}" "bin/stand-in/${0##*/}" "$PWD/bin/stand-in/${0##*/}.sh" "$@"
