#!/bin/bash
# Prelude of every step: parameters, answers, and what the steps share about one runner.
#
# A step is started as `bash STEP FOLDER` by root. It prints `name=value` lines (base64 under names that end in 64), and ends with
#   0   its goal holds now
#   75  it looked, did not reach the goal, and its lines say why; a retry runs it again
#   *   it failed; its standard error says why
set -euo pipefail
export LC_ALL=C
export SYSTEMD_PAGER='' SYSTEMD_COLORS=0

STEP_FOLDER=$1
OTHERWISE=75

# --- parameters and answers ------------------------------------------------------------------------------------------------------------------

# One parameter a line, `name=value`, where every byte of the value may be written as \xHH.
declare -A given=()
while IFS='=' read -r parameter value; do printf -v "given[$parameter]" '%b' "$value"; done <"$STEP_FOLDER/parameters"

say() {
  printf '%s=%s\n' "$1" "$2"
}

say_text() {
  say "${1}64" "$(printf '%s' "$2" | tail -c 4096 | base64 -w 0)"
}

fail() {
  printf '%s\n' "$1" >&2
  exit 1
}

# otherwise KIND EVIDENCE: ends the step with an answer other than its goal.
otherwise() {
  say kind "$1"
  say_text evidence "$2"
  exit "$OTHERWISE"
}

# --- time ------------------------------------------------------------------------------------------------------------------------------------

# Sets uptime to the whole seconds since boot, which no change of the clock moves.
read_uptime() {
  read -r uptime _ </proc/uptime
  uptime=${uptime%.*}
}

# A pipe that nothing comes from: to wait on it takes no process.
exec {nothing}<> <(:)

# pause SECONDS
pause() {
  read -r -t "$1" -u "$nothing" || true
}

# within SECONDS COMMAND …: repeats the command until it succeeds; fails when it never did.
within() {
  local until
  read_uptime
  until=$((uptime + $1))
  shift
  until "$@"; do
    read_uptime
    if [ "$uptime" -ge "$until" ]; then return 1; fi
    pause 0.2
  done
}

# --- the runner's directory ------------------------------------------------------------------------------------------------------------------

# Where this runner's files are, and the same with every link resolved, as /proc shows it.
directory=${given[directory]:-}
home=$(readlink -f -- "$directory" || true)
user=${given[user]:-}

# When this runner's actions cache was last cleaned of what is unused, epoch seconds.
CLEANED=${home//%/%25}
CLEANED=/var/lib/runward/cleaned.${CLEANED//\//%2F}

enter_directory() {
  cd -- "$directory" || fail "no directory $directory in the guest; is it this machine's runner?"
}

# The files that make a runner count as configured, or as installed as a service; those that exist, one a line.
configuration_files() {
  local file
  for file in .runner .runner_* .credentials .credentials_* .credential_store .service; do
    if [ -e "$file" ] || [ -L "$file" ]; then printf '%s\n' "$file"; fi
  done
}

# config.sh writes .runner last, after the credentials.
is_configured() {
  [ -s .runner ] && [ -s .credentials ]
}

# runner_field NAME FILE: a plain field of a .runner file.
runner_field() {
  if [ -f "$2" ]; then
    head -c 65536 -- "$2" | tr -d '\r\n' | sed -n "s/.*\"$1\"[[:space:]]*:[[:space:]]*\"\{0,1\}\([^\",}]*\).*/\1/p"
  fi
}

home_of_user() {
  getent passwd "$user" | cut -d: -f6
}

# Gives back to the runner's user what config.sh writes or the listener changes, by name: a step that runs over _work never ends on a large one.
own_by_user() {
  local name names=()
  for name in .env .path .runner .runner_* .credentials .credentials_* .service svc.sh runsvc.sh _work; do
    if [ -e "$name" ]; then names+=("$name"); fi
  done
  if ! runuser -u "$user" -- test -w .; then names+=(.); fi
  if [ ${#names[@]} -gt 0 ]; then find "${names[@]}" -maxdepth 0 ! -user "$user" -exec chown -h "$user:" {} +; fi
  if [ -d _diag ]; then find _diag -maxdepth 1 ! -user "$user" -exec chown -h "$user:" {} +; fi
}

# --- what the runner is made of --------------------------------------------------------------------------------------------------------------

# `USED% FREE-BYTES INODES-USED%` as df counts them, of the disk of the current folder, or of _work where that is another one and fuller; the last is
# nothing where the number is not fixed.
disk() {
  local all free available size inodes inodes_free used percent inodes_used worst=-1 told=
  while read -r all free available size inodes inodes_free; do
    used=$((all - free)) inodes_used=
    percent=$(((100 * used + used + available - 1) / (used + available)))
    if [ "$inodes" -gt 0 ]; then inodes_used=$(((100 * (inodes - inodes_free) + inodes - 1) / inodes)); fi
    if [ "$percent" -gt "$worst" ]; then worst=$percent told="$percent% $((available * size)) $inodes_used"; fi
  done < <(stat -f -c '%b %f %a %S %c %d' . _work 2>/dev/null || true)
  printf '%s\n' "$told"
}

# Ends the step unless config.sh and the listener can write: some KiB of configuration, and the listener's log.
prove_room() {
  local bytes block inodes all
  read -r bytes block inodes all < <(stat -f -c '%a %S %d %c' .)
  bytes=$((bytes * block))
  # Some file systems have no fixed number of inodes, and say 0.
  if [ "$bytes" -lt "${given[least_bytes]:-0}" ] || { [ "$all" -gt 0 ] && [ "$inodes" -lt 100 ]; }; then
    otherwise refused-unfit "the disk under $directory is full: $bytes bytes and $inodes inodes are free for $user. Make room, such as by \`docker system prune\` or \`journalctl --vacuum-size=100M\`, and recover again"
  fi
}

# lacks_files bin|externals FOLDER: which file a folder of the runner's package lacks, in one line; nothing where it looks whole.
lacks_files() {
  local name
  if [ ! -d "$2" ]; then
    printf '%s\n' "$2 is missing"
  elif [ "$1" = bin ]; then
    for name in Runner.Listener Runner.Worker runsvc.sh RunnerService.js systemd.svc.sh.template actions.runner.service.template; do
      if [ ! -s "$2/$name" ]; then
        printf '%s\n' "$2/$name is missing"
        return 0
      fi
    done
  else
    for name in "$2"/node*/bin/node; do
      if [ -s "$name" ]; then return 0; fi
    done
    printf '%s\n' "$2 has no node"
  fi
}

# lacks bin|externals FOLDER: as lacks_files; and since a copy that was cut off may lack anything, its program is asked to run.
lacks() {
  local found node
  found=$(lacks_files "$1" "$2")
  if [ -n "$found" ]; then
    printf '%s\n' "$found"
  elif [ "$1" = bin ]; then
    runs "$2/Runner.Listener" || printf '%s\n' "$2/Runner.Listener does not run"
  else
    for node in "$2"/node*/bin/node; do
      if runs "$node"; then return 0; fi # some are for other systems
    done
    printf '%s\n' "$2 has no node that runs"
  fi
}

# What the runner's programs lack as they lie there, in one line.
missing_program() {
  local part found
  if [ ! -s config.sh ]; then
    printf 'config.sh is missing\n'
    return 0
  fi
  for part in bin externals; do
    found=$(lacks_files "$part" "$part")
    if [ -n "$found" ]; then
      printf '%s\n' "$found"
      return 0
    fi
  done
}

# runs PROGRAM: whether it starts at all, as the runner's user.
runs() {
  timeout 20 runuser -u "$user" -- env "HOME=$(home_of_user)" "./$1" --version </dev/null >/dev/null 2>&1
}

# Ends the step unless the runner's programs are there and run, after mending what can be mended.
prove_installed() {
  local part lack=''
  own_by_user # a program that cannot write its log does not run
  if [ ! -s config.sh ]; then lack='config.sh is missing'; fi
  for part in bin externals; do
    if [ -n "$lack" ]; then break; fi
    lack=$(lacks "$part" "$part")
    if [ -n "$lack" ] && link_newest "$part"; then lack=''; fi
  done
  if [ -n "$lack" ]; then
    otherwise refused-unfit "the runner's programs in $directory are broken: $lack. Unpack the runner's package over that directory, which keeps its configuration, and recover again"
  fi
}

# link_newest bin|externals: what a broken self-update leaves is no link, or one to half a copy, beside whole ones.
link_newest() {
  local version
  if [ -e "$1" ] && [ ! -L "$1" ]; then return 1; fi
  while IFS= read -r version; do
    if [ -n "$(lacks "$1" "$version")" ]; then continue; fi
    ln -sfn -- "$version" "$1.runward"
    chown -h "$user:" "$1.runward"
    mv -fT -- "$1.runward" "$1"
    return 0
  done < <(find . -maxdepth 1 -type d -name "$1.[0-9]*" -printf '%f\n' | sort -rV)
  return 1
}

# --- the runner's processes ------------------------------------------------------------------------------------------------------------------

# processes_named NAME …: processes of exactly one of these names, one a line.
processes_named() {
  local process name
  for process in /proc/[0-9]*; do
    { read -r name <"$process/comm"; } 2>/dev/null || continue
    case " $* " in *" $name "*) printf '%s\n' "${process#/proc/}" ;; esac
  done
}

# arguments_of PROCESS: sets arguments to its command line, with a blank after each word.
arguments_of() {
  local words=()
  { mapfile -d '' -t words <"/proc/$1/cmdline"; } 2>/dev/null || true
  printf -v arguments '%s ' "${words[@]}"
}

name_of() {
  local name=
  { read -r name <"/proc/$1/comm"; } 2>/dev/null || true
  printf '%s\n' "$name"
}

parent_of() {
  local stat='' parent
  { IFS= read -r stat <"/proc/$1/stat"; } 2>/dev/null || true
  parent=${stat##*) ? }
  parent=${parent%% *}
  printf '%s\n' "${parent:-0}"
}

# Whether a process was started from this runner's directory: by its first argument, its program, or where it works.
is_of_runner() {
  local first=''
  { IFS= read -r -d '' first <"/proc/$1/cmdline"; } 2>/dev/null || true
  case $first in "$home"/bin*/* | "$directory"/bin*/*) return 0 ;; esac
  case $(readlink "/proc/$1/exe" || true) in "$home"/bin*/*) return 0 ;; esac
  case $(readlink "/proc/$1/cwd" || true) in "$home" | "$home"/bin*) return 0 ;; esac
  return 1
}

# Listeners of this runner.
listeners() {
  local pid
  for pid in $(processes_named Runner.Listener); do
    if is_of_runner "$pid"; then printf '%s\n' "$pid"; fi
  done
}

# workers runner|machine: workers that a listener started; one without a listener is a leftover and no job.
workers() {
  local pid parent
  for pid in $(processes_named Runner.Worker); do
    parent=$(parent_of "$pid")
    if [ "$(name_of "$parent")" != Runner.Listener ]; then continue; fi
    if [ "$1" = machine ] || is_of_runner "$parent"; then printf '%s\n' "$pid"; fi
  done
}

# What keeps a listener of this runner alive: runsvc.sh and its node program, or run.sh.
supervisors() {
  local pid arguments
  for pid in $(processes_named runsvc.sh run.sh run-helper.sh bash sh node MainThread); do
    if ! [ "/proc/$pid/cwd" -ef "$home" ]; then continue; fi
    arguments_of "$pid"
    case $arguments in
      */RunnerService.js* | */runsvc.sh* | */run.sh* | */run-helper.sh*) printf '%s\n' "$pid" ;;
    esac
  done
}

# The script by which the runner replaces its own programs: it waits for the listener's end, and then changes the links.
updates() {
  local pid arguments
  for pid in $(processes_named bash sh _update.sh); do
    arguments_of "$pid"
    case $arguments in *"$home/"*/_update.sh* | *"$directory/"*/_update.sh*) printf '%s\n' "$pid" ;; esac
  done
}

# prove_idle runner|machine: ends the step where a job runs or the runner updates itself, unless it was told to go on.
prove_idle() {
  local found
  if [ "${given[force]:-no}" = yes ]; then return 0; fi
  found=$(workers "$1")
  if [ -n "$found" ]; then otherwise refused-busy "Runner.Worker runs on this $1 (process $(in_one_line "$found"))"; fi
  if [ "$1" = runner ]; then prove_no_update; fi
}

prove_no_update() {
  local found
  found=$(updates)
  if [ -n "$found" ]; then otherwise refused-busy "the runner updates itself (process $(in_one_line "$found"), _update.sh)"; fi
}

in_one_line() {
  printf '%s' "${1//$'\n'/ }"
}

# Ends what is left of this runner once its unit is stopped, supervisors first: they would start another listener.
end_leftovers() {
  local pid
  for pid in $(supervisors); do kill -KILL "$pid" 2>/dev/null || true; done
  for pid in $(listeners); do kill -INT "$pid" 2>/dev/null || true; done
  if ! within 10 no_listener; then
    for pid in $(listeners); do kill -KILL "$pid" 2>/dev/null || true; done
    within 5 no_listener || fail "a Runner.Listener of $directory could not be ended (process $(listeners | tr '\n' ' '))"
  fi
}

no_listener() {
  [ -z "$(listeners)" ]
}

# --- the runner's service --------------------------------------------------------------------------------------------------------------------

# Name of the runner's own unit: from .service, else from the svc.sh that config.sh made; nothing where neither names one.
unit_name() {
  local name=
  if [ -f .service ]; then IFS= read -r name <.service || true; fi
  if [ -z "$name" ] && [ -f svc.sh ]; then
    name=$(sed -n 's/^SVC_NAME="\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' svc.sh | sed -n 1p)
    name=${name// /_}
  fi
  name=${name%$'\r'}
  if [[ $name =~ ^[A-Za-z0-9:_.@-]+\.service$ ]]; then printf '%s\n' "$name"; fi
}

# What systemd is asked about the runner's unit.
UNIT_PROPERTIES=LoadState,ActiveState,WorkingDirectory,FragmentPath,InvocationID,ActiveEnterTimestampMonotonic,ExecMainStartTimestampMonotonic

# Sets unit, and what systemd says of it: load, active, works_in, unit_file, invocation, active_for and started_ago (seconds; nothing where it
# is not active, or was not started since the boot). A unit that works in another directory is another runner's, and counts as not loaded here.
read_unit() {
  unit=$(unit_name)
  if [ -n "$unit" ]; then take_unit < <(systemctl show -p "$UNIT_PROPERTIES" -- "$unit"); else take_unit </dev/null; fi
}

# The same from the first block of what `systemctl show` prints.
# shellcheck disable=SC2034 # unit_file is for set-aside.sh, started_ago for observe.sh
take_unit() {
  local name value entered=0 started=0
  load=not-found active=inactive works_in='' unit_file='' invocation='' active_for='' started_ago=''
  while IFS='=' read -r name value && [ -n "$name" ]; do
    case $name in
      LoadState) load=$value ;;
      ActiveState) active=$value ;;
      WorkingDirectory) works_in=${value#[!/]} ;;
      FragmentPath) unit_file=$value ;;
      InvocationID) invocation=$value ;;
      ActiveEnterTimestampMonotonic) entered=$value ;;
      ExecMainStartTimestampMonotonic) started=$value ;;
    esac
  done
  if [ "$load" = loaded ] && ! [ "$works_in" -ef "$home" ]; then
    load=foreign
    return 0
  fi
  read_uptime
  if [ "$active" = active ]; then active_for=$((uptime - entered / 1000000)); fi
  if [ "$started" -gt 0 ]; then started_ago=$((uptime - started / 1000000)); fi
}

is_loaded() {
  [ "$load" = loaded ]
}

# What the service printed since its current or last start, and what systemd said as it started it. What its jobs send to syslog, as each
# sudo does, is left out.
journal() {
  if [ -n "$invocation" ]; then
    timeout 10 journalctl --no-pager -q -o cat -n 200 "_SYSTEMD_INVOCATION_ID=$invocation" _TRANSPORT=stdout _TRANSPORT=journal || true
  fi
}

has_said_it_started() {
  case $(journal) in *'Started running service'*) return 0 ;; esac
  return 1
}

is_at_rest() {
  case $active in inactive | failed) return 0 ;; esac
  return 1
}

# Stops the runner's service and sees all of it gone. A service that was started a moment ago has no handler for the signal yet and would
# hang for five minutes, so its own word that it runs is waited for; one that hangs all the same is helped by ending its processes. A job
# that was to be stopped by force and goes on is ended: the next listener would start another beside it in the same folders.
stop_service() {
  local doomed='' pid
  if [ "${given[force]:-no}" = yes ]; then doomed=$(workers runner); fi
  read_unit
  if [ "$load" = foreign ]; then fail "$unit works in $works_in and not in $directory: another runner's unit is left alone"; fi
  if is_loaded && ! is_at_rest; then
    if [ "${active_for:-60}" -lt 60 ]; then within 30 has_said_it_started || true; fi
    for pid in $(listeners); do kill -CONT "$pid" 2>/dev/null || true; done # one that is held hears no signal
    if ! timeout 45 systemctl stop -- "$unit"; then
      end_leftovers
      timeout 15 systemctl stop -- "$unit" || true
    fi
    read_unit
    is_at_rest || fail "$unit did not stop; it is $active"
  fi
  end_leftovers
  for pid in $doomed; do
    if [ "$(name_of "$pid")" = Runner.Worker ]; then kill -KILL "$pid" || true; fi
  done
}

# Starts the runner's unit, which is loaded, and watches it until one listener has lived for some seconds.
start_service() {
  local until listener
  if [ "$active" != active ]; then
    if [ -n "$(workers runner)" ]; then otherwise refused-busy "a job runs on a listener outside of $unit"; fi
    end_leftovers
    systemctl reset-failed -- "$unit" || true # systemd refuses a sixth start within ten seconds, until it is told to forget the others
    systemctl start -- "$unit" || true
  fi
  read_uptime
  until=$((uptime + ${given[start_seconds]:-60}))
  while [ "$uptime" -lt "$until" ]; do
    listener=$(listeners)
    if [ -n "$listener" ]; then pause "${given[settle_seconds]:-5}"; else pause 0.5; fi
    read_unit
    if is_at_rest; then break; fi
    if [ "$active" = active ] && [[ $listener =~ ^[0-9]+$ ]] && [ "$(listeners)" = "$listener" ]; then
      say kind started
      say unit "$unit"
      return 0
    fi
    read_uptime
  done
  say unit "$unit"
  say state "$active"
  otherwise not-started "$(journal | tail -n 20)"
}

# --- the drain -------------------------------------------------------------------------------------------------------------------------------

# A person's word that the runner shall take no jobs: epoch seconds, and the reason. Root's alone counts, since the directory is the user's.
DRAIN_MARK=.runward-drained

# Both lines of the mark; nothing where there is none.
drain_mark() {
  if [ -f "$DRAIN_MARK" ] && [ ! -L "$DRAIN_MARK" ] && [ -O "$DRAIN_MARK" ]; then head -c 1024 -- "$DRAIN_MARK"; fi
}

is_drained() {
  [ -n "$(drain_mark)" ]
}

# A frozen runner takes no job: its listener, and what would start another one, are held by SIGSTOP. Its worker is never frozen.
# Whatever becomes of who froze it, systemd thaws it after THAW_SECONDS: GitHub loses patience with a listener only after minutes.
THAW_SECONDS=120

freezable() {
  supervisors
  listeners
}

# arm_thaw PROCESSES: a timer of systemd that thaws them, in the place of every earlier one.
arm_thaw() {
  local pattern=runward-thaw-${1%%[[:space:]]*} own timer
  own=$pattern-$RANDOM
  systemd-run -q --collect "--unit=$own" "--on-active=$THAW_SECONDS" --timer-property=AccuracySec=1s \
    /bin/bash -c "kill -CONT $(in_one_line "$1")"
  for timer in $(systemctl list-units --plain --no-legend "$pattern-*.timer" | cut -d ' ' -f 1); do
    if [ "$timer" != "$own.timer" ]; then systemctl -q stop "$timer" || true; fi
  done
}

# disarm_thaw PROCESSES
disarm_thaw() {
  systemctl -q stop "runward-thaw-${1%%[[:space:]]*}-*.timer" || true
}

thaw() {
  local processes pid
  processes=$(freezable)
  for pid in $processes; do kill -CONT "$pid" 2>/dev/null || true; done
  if [ -n "$processes" ]; then disarm_thaw "$processes"; fi
}

# Sets processes, freezes them, and proves once more that the runner is idle: a job that was begun meanwhile goes on, and ends the step.
# The unit has been read.
freeze_idle() {
  local pid
  if is_loaded && [ -n "$active_for" ] && [ "$active_for" -lt 60 ]; then within 30 has_said_it_started || true; fi
  processes=$(freezable)
  if [ -z "$processes" ]; then return 0; fi
  trap thaw EXIT
  arm_thaw "$processes"
  for pid in $processes; do kill -STOP "$pid" 2>/dev/null || true; done
  within 5 are_frozen "$processes" || fail "a process of $directory does not stop ($(in_one_line "$processes"))"
  prove_idle runner
}

# SIGINT waits for the frozen listener, and is what it hears first when it is thawed: it ends its session with GitHub, and reads no more of it.
end_frozen() {
  local pid
  if is_loaded && ! is_at_rest; then systemctl stop --no-block -- "$unit"; fi
  for pid in $(listeners); do
    kill -INT "$pid" 2>/dev/null || true
    kill -CONT "$pid" 2>/dev/null || true
  done
  within 15 no_listener || true
  for pid in $processes; do kill -CONT "$pid" 2>/dev/null || true; done
  stop_service
  trap - EXIT
  if [ -n "$processes" ]; then disarm_thaw "$processes"; fi
}

# Whether all of them are held, or have ended.
are_frozen() {
  local pid stat
  for pid in $1; do
    stat=') T'
    { IFS= read -r stat <"/proc/$pid/stat"; } 2>/dev/null || true
    case ${stat##*)} in ' T'*) ;; *) return 1 ;; esac
  done
}

# What GitHub has sent and no listener has read, as connections and numbers of bytes: it may be a job, or the end of a poll without one.
unread() {
  local pid own
  for pid in $(listeners); do
    own=$(find "/proc/$pid/fd" -lname 'socket:*' -printf '%l ' 2>/dev/null | tr -dc '0-9 ' || true)
    { cat "/proc/$pid/net/tcp" "/proc/$pid/net/tcp6" 2>/dev/null || true; } \
      | awk -v "own= $own" 'index(own, " " $10 " ") && sub(/.*:0*/, "", $5) && $5 != "" { printf "%s:%s ", $10, $5 }'
  done
}

# --- set-aside files -------------------------------------------------------------------------------------------------------------------------

# ASIDE holds one complete set of files that count as the old configuration; it is built as ASIDE.new, so that a cut-off move is gone on with.
# In it, `unit` holds the unit file and the link that enables it, `path` the .path that each config.sh writes anew, `leftover` what a failed
# config.sh had left, `strange` what config.sh refused and nobody knows, and `restoring` says that files are being put back.
ASIDE=.runward-aside
# Files that nobody knows are never deleted.
KEPT=.runward-kept
# Where the link to an enabled unit of svc.sh is.
ENABLED=/etc/systemd/system/multi-user.target.wants

# Root works in a directory that belongs to the runner's user: a link or a folder of somebody else is not followed.
own_folder() {
  if [ ! -e "$1" ] && [ ! -L "$1" ]; then mkdir -m 700 "$1"; fi
  if [ -L "$1" ] || [ ! -d "$1" ] || [ ! -O "$1" ]; then fail "$directory/$1 is not a folder of root; move it away"; fi
}

# Names of the set-aside configuration files, one a line.
aside_files() {
  if [ -d "$ASIDE" ]; then (cd "$ASIDE" && configuration_files); fi
}

# move_files FOLDER: the configuration files of the current folder.
move_files() {
  local file
  configuration_files | while IFS= read -r file; do mv -fT -- "$file" "$1/$file"; done
}

move_leftovers() {
  own_folder "$ASIDE/leftover"
  move_files "$ASIDE/leftover"
}

# Hidden files of the runner's directory that are neither known as configuration nor as something else; one a line.
strange_files() {
  local file
  for file in .[!.]*; do
    case $file in .env | .path | .setup_info | .options | .proxy* | .certificates | .telemetry | .runward*) continue ;; esac
    if [ -f "$file" ] && [ ! -L "$file" ] && [[ $file != *$'\n'* ]]; then printf '%s\n' "$file"; fi
  done
}

move_strange_back() {
  local file
  for file in "$ASIDE"/strange/.[!.]*; do
    if [ -f "$file" ]; then mv -fT -- "$file" "${file##*/}"; fi
  done
}

keep_strange() {
  local file
  for file in "$ASIDE"/strange/.[!.]*; do
    if [ -f "$file" ]; then
      own_folder "$KEPT"
      mv -fT -- "$file" "$KEPT/${file##*/}"
    fi
  done
}

# Away with the set in one move: a half-deleted one would be taken for a whole.
drop_aside() {
  keep_strange
  if [ -e "$ASIDE" ]; then mv -T -- "$ASIDE" "$ASIDE.old"; fi
  rm -rf "$ASIDE.old"
}

# Second half of putting back, gone on with wherever it was cut off.
finish_restoring() {
  local file
  (cd "$ASIDE" && move_files ..)
  move_strange_back
  if [ -s "$ASIDE/path" ]; then mv -fT -- "$ASIDE/path" .path; fi
  for file in "$ASIDE"/unit/*.service; do
    if [ -f "$file" ]; then mv -fT -- "$file" "/etc/systemd/system/${file##*/}"; fi
  done
  if [ -d "$ASIDE/unit" ]; then
    systemctl daemon-reload
    read_unit
    if is_loaded; then
      if [ -L "$ASIDE/unit/enabled" ]; then mv -fT -- "$ASIDE/unit/enabled" "$ENABLED/$unit"; fi
      systemctl -q enable -- "$unit"
    fi
  fi
  drop_aside
}
