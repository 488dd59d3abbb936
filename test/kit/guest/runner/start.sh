#!/bin/bash
# Installed as bin/Runner.Listener and bin/Runner.Worker: becomes the process of that name. As for the real programs, the runner's folder is the
# one that `bin` truly lies in: a link to a `bin` elsewhere makes it another.
cd -P "${0%/*}" || exit 1
folder=$PWD
cd .. || exit 1
exec -a "$folder/${0##*/}" "$folder/stand-in/${0##*/}" "$folder/stand-in/${0##*/}.sh" "$@"
