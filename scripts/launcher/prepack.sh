#!/bin/sh
# `npm pack` and `npm publish` build dist/ by this: with the Node and the dependencies for development that are there, or else with what
# `runward` brings in.
set -eu
cd "${0%/*}/../.."
version=$(node -p process.versions.node)
if [ "${version%%.*}" -ge 24 ] && [ -e node_modules/typescript ]; then
  exec node --disable-warning=ExperimentalWarning scripts/build-package.ts
fi
exec ./runward build-package
