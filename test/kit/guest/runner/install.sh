#!/bin/bash
# Lays out the stand-ins of the runner's programs as a freshly unpacked runner package. Runs in the guest as root.
# Usage: install.sh DIRECTORY USER
#        install.sh DIRECTORY         as they lie in the package, made anywhere: a copy of bash is a link to the guest's own there
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
directory=$1
user=${2:-}

# copy_bash FILE
copy_bash() {
  if [ -n "$user" ]; then install -m 755 /bin/bash "$1"; else ln -s /bin/bash "$1"; fi
}

mkdir -p "$directory/bin/stand-in" "$directory/externals/node20/bin"
cd "$directory"

install -m 755 "$here/config.sh" "$here/env.sh" .
install -m 755 "$here/runsvc.sh" bin/runsvc.sh
install -m 644 "$here/svc.sh" bin/systemd.svc.sh.template
install -m 644 "$here/actions.runner.service.template" bin/actions.runner.service.template
install -m 644 "$here/github.sh" "$here/settings.sh" "$here/Runner.Listener.sh" "$here/Runner.Worker.sh" bin/stand-in

# Bash throughout: Node takes two seconds to start in an emulated guest. Copies of bash under the real programs' names
# give the processes their names, their first argument and their place.
for program in Runner.Listener Runner.Worker; do
  install -m 755 "$here/start.sh" "bin/$program"
  copy_bash "bin/stand-in/$program"
done
install -m 644 "$here/runner-service.sh" bin/RunnerService.js
copy_bash externals/node20/bin/node

if [ -n "$user" ]; then chown -R "$user:" .; fi
