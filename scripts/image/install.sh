#!/bin/sh
# Makes the working folder an installation of Runward for an image: it holds `npm pack`'s runward.tgz and package-lock.json, and nothing else.
# With the lockfile's versions, without development dependencies, and with this platform's build of Temporal's native part alone.
set -eu

tar -xzf runward.tgz --strip-components=1
# It has no development dependencies, which `npm ci` misses, and npm would prefer it.
rm npm-shrinkwrap.json
npm ci --omit=dev --ignore-scripts --no-audit --no-fund --no-update-notifier
rm runward.tgz package-lock.json

case $(node -p process.arch) in
  x64) native=x86_64-unknown-linux-gnu ;;
  arm64) native=aarch64-unknown-linux-gnu ;;
  *) native=none ;;
esac
releases=node_modules/@temporalio/core-bridge/releases
[ -d "$releases/$native" ] || {
  printf 'install.sh: Temporal ships no native build for Linux on %s: build the image for linux/amd64 or linux/arm64\n' "$(node -p process.arch)" >&2
  exit 1
}
for release in "$releases"/*; do
  [ "${release##*/}" = "$native" ] || rm -r "$release"
done

node dist/cli/main.js --version
