#!/bin/sh
# Makes the namespace where it is missing, and gives it the retention that is wanted: histories are the audit, and Temporal's own default is short.
set -u

set_up() {
  describe >/dev/null || retention create || return
  retention update
}

describe() {
  temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE"
}

retention() { # create | update
  temporal operator namespace "$1" --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"
}

# A server that has just begun to listen refuses for some seconds.
tries=1
until said=$(set_up 2>&1); do
  [ $tries -lt "${TRIES:-30}" ] || {
    printf '%s\nset-up-namespace.sh: no namespace %s at %s after %s tries\n' "$said" "$TEMPORAL_NAMESPACE" "$TEMPORAL_ADDRESS" $tries >&2
    exit 1
  }
  tries=$((tries + 1))
  sleep 2
done
printf '%s\n' "$said"
