#!/bin/bash
# Installed as bin/Runner.Listener and bin/Runner.Worker: becomes the process of that name.
folder=${0%/*}
cd "$folder/.." || exit 1
folder=$PWD/${folder##*/}
exec -a "$folder/${0##*/}" "$folder/stand-in/${0##*/}" "$folder/stand-in/${0##*/}.sh" "$@"
