#!/bin/bash
# As the runner's own: keeps the PATH of each call, and of the first one what jobs may want to know.
echo "$PATH" >.path
if [ ! -f .env ]; then
  : >.env
  for name in LANG JAVA_HOME LD_LIBRARY_PATH; do
    if [ -n "${!name:-}" ]; then echo "$name=${!name}" >>.env; fi
  done
fi
