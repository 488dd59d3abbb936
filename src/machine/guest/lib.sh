#!/bin/bash
# Prelude of every step: parameters, answers, and what the steps share about one runner.
#
# A step is started as `bash STEP FOLDER` by root. It prints `name=value` lines (base64 under names that end in 64), and ends with
#   0   its goal holds now
#   75  it looked, did not reach the goal, and its lines say why; a retry runs it again
#   *   it failed; its standard error says why
# shellcheck disable=SC2016 # what runs as the user is expanded by the user's own shell
set -euo pipefail
umask 077
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

# Set from the moment in which the step stops something.
is_stopping=

# otherwise KIND EVIDENCE: ends the step with an answer other than its goal. Some are read as that nothing was touched.
otherwise() {
  if [ -n "$is_stopping" ]; then
    case $1 in not-paused | refused-busy) fail "what takes jobs was stopped, and then it was not done: $2" ;; esac
  fi
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

# rest SECONDS
rest() {
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
    rest 0.2
  done
}

# --- the runner's directory ------------------------------------------------------------------------------------------------------------------

# Where this runner's files are, and the same with every link resolved, as /proc shows it. All of it is the user's, and so is what is read there.
directory=${given[directory]:-}
home=$(readlink -f -- "$directory" || true)
user=${given[user]:-}
user_id='' user_home=''
IFS=: read -r _ _ user_id _ _ user_home _ < <(getent passwd -- "$user" || true) || true

# Without its user nothing is known of what runs as it.
prove_user() {
  if [ -z "$user_id" ]; then otherwise refused-unfit "there is no user $user in the guest: check RUNNER_USER or the file's \`user\`"; fi
}

# enter FOLDER: fails where it is not there, or a link is on the way: each part is seen to lie in the folder that was entered before. The current
# folder may then be any on the way.
enter() {
  local part rest=${1%/}/ above
  if [[ $1 == /* ]]; then cd / && rest=${rest#/}; fi
  while [ -n "$rest" ]; do
    part=${rest%%/*} rest=${rest#*/}
    exec {above}<.
    if [ -L "./$part" ] || ! cd -P -- "./$part" 2>/dev/null || ! [ .. -ef "/dev/fd/$above" ]; then
      exec {above}<&-
      return 1
    fi
    exec {above}<&-
  done
}

enter_directory() {
  if [ ! -d "$directory" ]; then fail "no directory $directory in the guest; is it this machine's runner?"; fi
  enter "$runner_path" || fail "on the way to $directory is a link that others than root can change, so root does not follow it; name the directory itself (RUNNER_DIR or the file's \`directory\`)"
}

# trusted_path PATH: with the links resolved that root made in folders of root's. From the first one on that somebody else can change, the path
# stays as it is written, so that no link of a job's makes it another one.
trusted_path() {
  local path=$1 hop prefix rest prefixes owner group mode at
  for ((hop = 0; hop < 40; hop += 1)); do
    prefixes=() prefix='' rest=${path#/}
    while [ -n "$rest" ]; do
      prefix+=/${rest%%/*}
      prefixes+=("$prefix")
      case $rest in */*) rest=${rest#*/} ;; *) rest= ;; esac
    done
    at=-1
    while read -r owner group mode; do
      at=$((at + 1))
      prefix=${prefixes[at]}
      if [ "$owner" != 0 ]; then break 2; fi
      if [[ $mode == l* ]]; then
        rest=${path:${#prefix}}
        path=$(readlink -- "$prefix" && printf x) && path=${path%$'\n'x}
        case $path in /*) ;; *) path=${prefix%/*}/$path ;; esac
        path=${path%/}$rest
        continue 2
      fi
      if [[ $mode == ????????w* ]] || { [[ $mode == ?????w* ]] && [ "$group" != 0 ]; }; then break 2; fi
    done < <(stat -c '%u %g %A' -- "${prefixes[@]}" 2>/dev/null || true)
    break
  done
  printf '%s\n' "$path"
}

# --- what is root's --------------------------------------------------------------------------------------------------------------------------

# Where root keeps what it believes: nobody else can write there.
ROOTS=/var/lib/runward
runner_path=$(trusted_path "${directory%/}")
key=${runner_path//%/%25}
key=${key//\//%2F}
# Of this runner: `aside` and `aside.new`, `registered` and `registered.new`, `drained`, `unfinished`, and `unit`, the name of its unit.
STATE=$ROOTS/runner.$key
# What does not survive a reboot.
RUN=/run/runward
# When this runner's actions cache was last cleaned of what is unused, epoch seconds.
# shellcheck disable=SC2034 # for observe.sh and remove-from-cache.sh
CLEANED=$ROOTS/cleaned.$key

# own_folder FOLDER: makes it, or proves that it is a folder that nobody but root can read or change.
own_folder() {
  if [ ! -e "$1" ] && [ ! -L "$1" ]; then mkdir -m 700 -- "$1"; fi
  if [ -L "$1" ] || [ ! -d "$1" ] || [ ! -O "$1" ] || [ "$(stat -c %a -- "$1")" != 700 ]; then
    fail "$1 is not a folder of root's with mode 700; see whose it is, and move it away"
  fi
}

own_state() {
  own_folder "$ROOTS"
  own_folder "$STATE"
}

# keep FILE: stores standard input as a file of root's that is there whole or not at all.
keep() {
  cat >"$1.new" && sync "$1.new" && mv -fT -- "$1.new" "$1"
}

# --- what is the user's ----------------------------------------------------------------------------------------------------------------------

SYSTEM_PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# How long the user's side may take, and how much of what it prints is read, in bytes.
USER_SECONDS=30
USER_BYTES=65536

# ask_user SCRIPT ARGUMENT …: prints what the script prints, which runs as the user in the runner's directory. Whatever else runs as this user can
# change what it does and says, so links and races gain nothing there that the user could not do by itself, and its words are data. It
# inherits nothing that is root's; the reader has a limit of its own, since a process of the user's may keep the pipe open.
ask_user() {
  timeout -k 2 "$USER_SECONDS" runuser -u "$user" -- env -i "HOME=$user_home" "PATH=$SYSTEM_PATH" LC_ALL=C \
    bash -c "set -eu; umask 022; shopt -s nullglob; cd -- \"\$1\"; shift; $1" runward "$directory" "${@:2}" {nothing}>&- 2>/dev/null \
    | timeout "$((USER_SECONDS + 5))" head -c "$USER_BYTES" || return "${PIPESTATUS[0]}"
}

# ask_first SCRIPT ARGUMENT …: the first line that it prints, if it is plain: 300 characters at most.
ask_first() {
  local line=
  IFS= read -r -n 301 line < <(ask_user "$@") || true
  if [[ $line =~ ^[[:print:]]{1,300}$ ]]; then printf '%s\n' "$line"; fi
}

# Ends the step unless the user can write what config.sh and the listener write. Files that somebody else left there are replaced by copies.
prove_writable() {
  local locked
  locked=$(ask_first '
    for name in .env .path .runner .credentials .credentials_rsaparams .service svc.sh runsvc.sh; do
      if [ -f "$name" ] && [ ! -w "$name" ]; then { cp -- "$name" "$name.runward" && mv -fT -- "$name.runward" "$name"; } || echo "$name"; fi
    done
    if [ -d _diag ] && [ ! -w _diag ]; then mv -T _diag "_diag.$(date +%s)" && mkdir _diag || echo _diag; fi
    for name in . _work; do if [ -e "$name" ] && [ ! -w "$name" ]; then echo "$name"; fi; done')
  if [ -n "$locked" ]; then
    otherwise refused-unfit "$user cannot write $directory/$locked, which somebody else owns. Give it back by \`chown -R $user: $directory\`, and recover again"
  fi
}

# --- the runner's configuration --------------------------------------------------------------------------------------------------------------

# Of the files that make a runner count as configured, those that are there. config.sh writes .runner last, after the credentials.
CONFIGURATION='.runner .runner_* .credentials .credentials_* .credential_store'

# Configuration files of the folder as `NAME BASE64` lines, 64 KiB of each.
READ_CONFIGURATION="for file in $CONFIGURATION; do
  if [ -f \"\$file\" ] && [ ! -L \"\$file\" ]; then
    printf '%s %s\n' \"\$file\" \"\$(dd \"if=./\$file\" iflag=nonblock,nofollow bs=64K count=1 status=none | base64 -w 0)\"
  fi
done"

# take_configuration FOLDER: copies the configuration files into a folder of root's. What the user's side says is stored as it is, under known names.
take_configuration() {
  local name text
  while read -r name text; do
    if [[ $name =~ ^\.(runner|credential)[a-z_]{0,40}$ ]]; then printf '%s' "$text" | base64 -d >"$1/$name" || true; fi
  done < <(USER_BYTES=1000000 ask_user "$READ_CONFIGURATION")
  wait "$!" || fail "the configuration files of $directory could not be read as $user within $USER_SECONDS s; see what holds them (\`fuser -v $directory\`)"
  sync -- "$1"
}

# What was dropped, until it is not needed any more: the room of .NAME, as .runward.NAME.
SPARE='.runward.runner* .runward.credential*'

# drop_configuration: takes the configuration files out of their places in the runner's directory. Their room is kept: what is given later is
# written there, and fits on a disk that has filled up meanwhile.
drop_configuration() {
  ask_user "for file in $CONFIGURATION; do
      if [ -f \"\$file\" ] && [ ! -L \"\$file\" ]; then mv -fT -- \"\$file\" \".runward\$file\"; else rm -rf -- \"\$file\"; fi
    done
    for file in $CONFIGURATION; do if [ -e \"\$file\" ]; then exit 1; fi; done" \
    || fail "the configuration files of $directory could not be moved as $user; see whether they are immutable (\`lsattr -a $directory\`)"
}

# give_configuration FOLDER: puts the configuration files of a folder of root's into the runner's directory, .runner last.
give_configuration() {
  local file
  for file in "$1"/.credential* "$1"/.runner_* "$1"/.runner; do
    if [ -f "$file" ]; then printf '%s %s %s\n' "${file##*/}" "$(stat -c %s -- "$file")" "$(base64 -w 0 -- "$file")"; fi
  done | ask_user '
    umask 077
    while read -r name size text; do
      printf "%s" "$text" | base64 -d 1<>".runward$name"
      truncate -s "$size" ".runward$name"
      case $name in .runner*) chmod 644 ".runward$name" ;; *) chmod 600 ".runward$name" ;; esac
      sync ".runward$name"
      mv -fT -- ".runward$name" "./$name"
    done
    sync .' || fail "the configuration files could not be put into $directory as $user; see whether its disk is full (\`df $directory\`) or read-only"
}

# Gives up the room of what was dropped. A directory that is gone has none.
drop_spare() {
  ask_user "rm -f -- $SPARE" || true
}

# Names of the configuration files in a folder of root's, one a line.
files_in() {
  local file
  for file in "$1"/.runner* "$1"/.credential*; do
    if [ -f "$file" ]; then printf '%s\n' "${file##*/}"; fi
  done
}

is_configured() {
  [ -s .runner ] && [ -s .credentials ]
}

# runner_field NAME FILE: a plain field of a .runner file in a folder of root's.
runner_field() {
  if [ -f "$2" ]; then
    head -c 65536 -- "$2" | tr -d '\r\n' | sed -n "s/.*\"$1\"[[:space:]]*:[[:space:]]*\"\{0,1\}\([^\",}]*\).*/\1/p"
  fi
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

# Ends the step unless config.sh and the listener can write: some KiB of configuration, kept once more by root, and the listener's log.
prove_room() {
  local bytes block inodes all folder
  for folder in "$directory" "${ROOTS%/*}"; do
    read -r bytes block inodes all < <(stat -f -c '%a %S %d %c' -- "$folder")
    bytes=$((bytes * block))
    # Some file systems have no fixed number of inodes, and say 0.
    if [ "$bytes" -lt "${given[least_bytes]:-0}" ] || { [ "$all" -gt 0 ] && [ "$inodes" -lt 100 ]; }; then
      otherwise refused-unfit "the disk under $folder is full: $bytes bytes and $inodes inodes are free. Make room, such as by \`docker system prune\` or \`journalctl --vacuum-size=100M\`, and recover again"
    fi
  done
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
  local found node tried=0
  found=$(lacks_files "$1" "$2")
  if [ -n "$found" ]; then
    printf '%s\n' "$found"
  elif [ "$1" = bin ]; then
    runs "$2/Runner.Listener" || printf '%s\n' "$2/Runner.Listener does not run"
  else
    for node in "$2"/node*/bin/node; do
      if runs "$node"; then return 0; fi # some are for other systems
      if [ "$((tried += 1))" -ge "$MOST_TRIED" ]; then break; fi
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

# A package has two or three nodes, and an update leaves two or three copies; a job may have made any number of them.
MOST_TRIED=3

# runs PROGRAM: whether it starts at all, as the runner's user.
runs() {
  timeout -k 2 20 runuser -u "$user" -- env "HOME=$user_home" "./$1" --version {nothing}>&- </dev/null >/dev/null 2>&1
}

# Ends the step unless the runner's programs are there and run, after mending what can be mended.
prove_installed() {
  local part lack=''
  prove_writable # a program that cannot write its log does not run
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
    ask_user 'ln -sfn -- "$2" "$1.runward" && mv -fT -- "$1.runward" "$1"' "$1" "$version"
    return
  done < <(find . -maxdepth 1 -type d -name "$1.[0-9]*" -printf '%f\n' | sort -rV | head -n "$MOST_TRIED")
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
  { mapfile -d '' -t -n 16 words < <(head -c 16384 "/proc/$1/cmdline"); } 2>/dev/null || true
  printf -v arguments '%s ' "${words[@]}"
}

name_of() {
  local name=
  { read -r name <"/proc/$1/comm"; } 2>/dev/null || true
  printf '%s\n' "$name"
}

# From `status`, which escapes what a process may put into its name.
parent_of() {
  local name value parent=0
  while read -r name value _; do
    if [ "$name" = PPid: ]; then
      parent=$value
      break
    fi
  done 2>/dev/null <"/proc/$1/status" || true
  printf '%s\n' "$parent"
}

# age_of PROCESS: for how many seconds it has run. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
age_of() {
  local stat='' fields
  { IFS= read -r -d '' stat <"/proc/$1/stat"; } 2>/dev/null || true
  read -r -a fields < <(printf '%s\n' "${stat##*) }")
  read_uptime
  printf '%s\n' "$((uptime - ${fields[19]:-0} / 100))"
}

# Whether a process runs as the runner's user.
is_of_user() {
  local name value
  while read -r name value _; do
    if [ "$name" = Uid: ]; then
      [ "$value" = "$user_id" ]
      return
    fi
  done 2>/dev/null <"/proc/$1/status"
  return 1
}

# Whether a process was started from this runner's directory, by its user: by its first argument, its program, or where it works.
is_of_runner() {
  local first=''
  is_of_user "$1" || return 1
  { IFS= read -r -d '' -n 4096 first <"/proc/$1/cmdline"; } 2>/dev/null || true
  case $first in "$home"/bin*/* | "$directory"/bin*/*) return 0 ;; esac
  case $(readlink "/proc/$1/exe" || true) in "$home"/bin*/*) return 0 ;; esac
  case $(readlink "/proc/$1/cwd" || true) in "$home" | "$home"/bin*) return 0 ;; esac
  return 1
}

# Whether the runner's unit started a process, and no job did: the ways up from it lead to the unit's main process without a worker between. What a
# job leaves running is a child of nobody's once its worker has ended. The unit has been read.
is_of_unit() {
  local pid=$1 hops
  if [ "${main_process:-0}" = 0 ]; then return 1; fi
  for ((hops = 0; hops < 8; hops += 1)); do
    if [ "$pid" = "$main_process" ]; then return 0; fi
    pid=$(parent_of "$pid")
    if [ "$pid" -le 1 ] || [ "$(name_of "$pid")" = Runner.Worker ]; then return 1; fi
  done
  return 1
}

# Whether a process is this runner's: by its user and directory, or whoever runs it, since its unit started it or a pause has held it.
is_ours() {
  is_of_runner "$1" || { has_not_ended "$1" && { is_of_unit "$1" || was_held "$1"; }; }
}

# Whether a process is more than its number, which its parent has not heard the end of.
has_not_ended() {
  readlink "/proc/$1/exe" >/dev/null
}

# Listeners of this runner, its unit's and any other.
listeners() {
  local pid
  for pid in $(processes_named Runner.Listener); do
    if is_ours "$pid"; then printf '%s\n' "$pid"; fi
  done
}

# All of the machine, of whichever user.
all_listeners() {
  processes_named Runner.Listener
}

# Listeners that the runner's unit started, which alone prove that it listens.
own_listeners() {
  local pid
  for pid in $(listeners); do
    if is_of_unit "$pid"; then printf '%s\n' "$pid"; fi
  done
}

# workers runner|machine: workers that a listener started; one without a listener is a leftover and no job. Of those under a listener that is not the
# unit's only an orphan may be at work: `strays=ignored` says that GitHub has called the runner idle for long enough to know that none is. It could
# not know while the unit is at rest: GitHub would hear of the orphan then.
workers() {
  local pid parent
  for pid in $(processes_named Runner.Worker); do
    parent=$(parent_of "$pid")
    if [ "$(name_of "$parent")" != Runner.Listener ]; then continue; fi
    if is_ours "$parent"; then
      if [ "${given[strays]:-}" != ignored ] || [ "${main_process:-0}" = 0 ] || is_of_unit "$parent"; then printf '%s\n' "$pid"; fi
    elif [ "$1" = machine ]; then
      printf '%s\n' "$pid"
    fi
  done
}

# What keeps a listener of this runner alive: runsvc.sh and its node program, or run.sh; and whatever else its unit runs.
supervisors() {
  local pid arguments
  if is_main_process_there; then printf '%s\n' "$main_process"; fi
  for pid in $(processes_named runsvc.sh run.sh run-helper.sh bash sh node MainThread); do
    if [ "$pid" = "${main_process:-0}" ]; then continue; fi
    if ! { is_of_user "$pid" && [ "/proc/$pid/cwd" -ef "$home" ]; } && ! is_of_unit "$pid" && ! was_held "$pid"; then continue; fi
    arguments_of "$pid"
    case $arguments in
      */RunnerService.js* | */runsvc.sh* | */run.sh* | */run-helper.sh*) printf '%s\n' "$pid" ;;
    esac
  done
}

is_main_process_there() {
  [ "${main_process:-0}" != 0 ] && has_not_ended "$main_process" && [ "$(name_of "$main_process")" != Runner.Listener ]
}

# The same of all listeners on the machine: what is above them, and what the runner's service is made of anywhere. Any program may have a run.sh.
all_supervisors() {
  local pid arguments
  for pid in $(all_listeners); do
    while pid=$(parent_of "$pid") && [ "$pid" -gt 1 ] && is_supervisor "$pid"; do printf '%s\n' "$pid"; done
  done
  for pid in $(processes_named runsvc.sh node MainThread); do
    arguments_of "$pid"
    case $arguments in */RunnerService.js* | */runsvc.sh*) printf '%s\n' "$pid" ;; esac
  done
}

is_supervisor() {
  local arguments
  case $(name_of "$1") in runsvc.sh | run.sh | run-helper.sh | bash | sh | node | MainThread) ;; *) return 1 ;; esac
  arguments_of "$1"
  case $arguments in */RunnerService.js* | */runsvc.sh* | */run.sh* | */run-helper.sh*) return 0 ;; esac
  return 1
}

# The script by which the runner replaces its own programs: it waits for the listener's end, and then changes the links. What is older than a
# quarter of an hour is none: the runner starts it when the last job has ended.
updates() {
  local pid arguments
  for pid in $(processes_named bash sh _update.sh); do
    is_of_user "$pid" || is_of_unit "$pid" || continue
    if [ "$(age_of "$pid")" -gt 900 ]; then continue; fi
    arguments_of "$pid"
    case $arguments in *"$home/"*/_update.sh* | *"$directory/"*/_update.sh*) printf '%s\n' "$pid" ;; esac
  done
}

# Whether a person has said to go past a job.
is_forced() {
  [ "${given[force]:-no}" = yes ]
}

# prove_idle runner|machine: ends the step where a job runs or the runner updates itself, unless it was told to go on.
prove_idle() {
  local found
  if is_forced; then return 0; fi
  if [ "$1" = runner ] || [ "${given[strays]:-}" = ignored ]; then
    if [ -z "${main_process:-}" ]; then read_unit; fi
  fi
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

# signal NAME PROCESS …: as the user, and as whoever else runs what is this runner's.
signal() {
  local name=$1 line uid
  local -A of=()
  shift
  if [ "$name" = CONT ]; then
    if [ $# -gt 0 ]; then kill -CONT "$@" 2>/dev/null || true; fi
    return 0
  fi
  while IFS= read -r line; do
    uid=${line##* }
    if [ "$uid" = "$user_id" ] || is_of_unit "${line%% *}" || is_in_held "$line"; then of[$uid]+=" ${line%% *}"; fi
  done < <(printf '%s\n' "$@" | describe)
  for uid in "${!of[@]}"; do
    # shellcheck disable=SC2086 # numbers
    signal_as "$uid" "$name" ${of[$uid]}
  done
}

# signal_as USER-ID NAME PROCESS …: as that user, so that a number which was given away meanwhile costs no other user's process.
signal_as() {
  local as=(setpriv "--reuid=$1" --clear-groups --)
  if [ "$1" = "$user_id" ]; then as=(runuser -u "$user" --); fi
  if [ $# -gt 2 ]; then
    timeout -k 2 10 "${as[@]}" /bin/bash -c 'kill "$@"' kill "-$2" "${@:3}" {nothing}>&- >/dev/null 2>&1 || true
  fi
}

# Ends what is left of this runner once its unit is stopped, supervisors first: they would start another listener. Whatever has not been held
# came only now, and ends the step.
# shellcheck disable=SC2046 # numbers
end_leftovers() {
  local others
  signal KILL $(stoppable $(supervisors))
  signal INT $(stoppable $(listeners))
  signal CONT $(stoppable $(listeners)) # one that is held hears no other signal
  if ! within 10 no_listener; then
    signal KILL $(stoppable $(listeners))
    # Also what starts them anew.
    if [ -n "${unit:-}" ] && { is_forced || [ -z "$(workers runner)" ]; }; then systemctl -q kill --signal=KILL -- "$unit" 2>/dev/null || true; fi
    within 5 no_listener || fail "a Runner.Listener of $directory could not be ended (process $(listeners | tr '\n' ' '))"
  fi
  others=$(listeners)
  if [ -n "$others" ]; then otherwise not-paused "a listener was started meanwhile (process $(in_one_line "$others"))"; fi
}

# shellcheck disable=SC2046 # numbers
no_listener() {
  [ -z "$(stoppable $(listeners))" ]
}

# --- the runner's service --------------------------------------------------------------------------------------------------------------------

# Sets names to what the runner's unit may be called: as root noted it, as GitHub calls it for this address and name, and as the user's files say; and
# believed to the number of those that are no word of the user's.
# https://github.com/actions/runner/blob/main/src/Runner.Listener/Configuration/ServiceControlManager.cs
unit_names() {
  local name path=${given[url]:-} said
  names=()
  if [ -f "$STATE/unit" ]; then IFS= read -r name <"$STATE/unit" && add_name "$name"; fi
  path=${path#*://*/}
  name=actions.runner.${path//[^0-9a-zA-Z._-]/-}.${given[name]:-}
  # GitHub cuts a longer one, and adds a random number.
  if [ -n "$path" ] && [ -n "${given[name]:-}" ] && [ ${#name} -le 142 ]; then add_name "${name// /_}.service"; fi
  believed=${#names[@]}
  said=$1
  while IFS= read -r name; do
    if [[ $name == actions.runner.* ]]; then add_name "${name%$'\r'}"; fi # no word of a job's makes another unit
  done <<<"$said"
}

# What the user's files call the unit: .service, and the svc.sh that config.sh made; a line each.
UNIT_SAID='for file in .service svc.sh; do
  if [ -f "$file" ] && [ ! -L "$file" ]; then dd "if=./$file" iflag=nonblock,nofollow bs=16K count=1 status=none; echo; fi
done | sed -n "/^actions\.runner\.[A-Za-z0-9:_.@-]*\.service\r*\$/p; s/^SVC_NAME=\"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p" | tr " " _ | head -n 2'

add_name() {
  if [ ${#names[@]} -lt 4 ] && [ ${#1} -le 255 ] && [[ $1 =~ ^[A-Za-z0-9][A-Za-z0-9:_.-]*(@[A-Za-z0-9:_.-]+)?\.service$ ]] && [[ " ${names[*]} " != *" $1 "* ]]; then names+=("$1"); fi
}

# What systemd is asked about the runner's unit.
UNIT_PROPERTIES=LoadState,ActiveState,WorkingDirectory,FragmentPath,DropInPaths,User,ExecStart,ExecStartEx,MainPID,ExecMainPID,InvocationID,ActiveEnterTimestampMonotonic,ExecMainStartTimestampMonotonic

# Sets unit, and what systemd says of it: load, active, works_in, unit_file, drop_ins, runs_as, starts, main_process, last_process, invocation, active_for and
# started_ago (seconds; nothing where it is not active, or was not started since the boot).
read_unit() {
  unit_names "$(ask_user "$UNIT_SAID" || true)"
  if [ ${#names[@]} -gt 0 ]; then
    take_units < <(systemctl show -p "$UNIT_PROPERTIES" -- "${names[@]}")
  else
    take_units </dev/null
  fi
}

# The same anew, of names that are known.
refresh_unit() {
  if [ ${#names[@]} -gt 0 ]; then take_units < <(systemctl show -p "$UNIT_PROPERTIES" -- "${names[@]}"); fi
}

# take_units: the same from a block of what `systemctl show` prints for each of names. The runner's unit is the first that works in its
# directory; without one, the first believed name that is free; and else load says `foreign`: all are other runners'. One that a person has
# masked is not free.
take_units() {
  local name free='' masked='' foreign='' at=0
  unit=''
  for name in "${names[@]}"; do
    take_unit
    at=$((at + 1))
    if [ -n "$unit" ]; then
      continue
    elif [ "$load" = masked ]; then
      if [ "$at" -le "$believed" ]; then masked=${masked:-$name}; fi
    elif [ "$load" != loaded ]; then
      if [ "$at" -le "$believed" ]; then free=${free:-$name}; fi
    elif works_here; then
      unit=$name
      remember_unit
    else
      foreign=${foreign:-$name=$works_in}
    fi
  done
  if [ -n "$unit" ]; then
    recall_unit
    return 0
  fi
  take_unit </dev/null
  unit=$free
  if [ -n "$masked" ]; then
    unit=$masked load=masked
  elif [ -z "$free" ] && [ -n "$foreign" ]; then
    unit=${foreign%%=*} works_in=${foreign#*=} load=foreign
  fi
}

works_here() {
  [ "$works_in" = "$directory" ] || [ "$works_in" = "$runner_path" ] || [ "$(trusted_path "$works_in")" = "$runner_path" ]
}

UNIT_VALUES=(load active works_in unit_file drop_ins runs_as starts is_privileged main_process last_process invocation active_for started_ago)

remember_unit() {
  local value
  remembered=()
  for value in "${UNIT_VALUES[@]}"; do remembered+=("${!value}"); done
}

recall_unit() {
  local at
  for at in "${!UNIT_VALUES[@]}"; do printf -v "${UNIT_VALUES[at]}" '%s' "${remembered[at]}"; done
}

# shellcheck disable=SC2034 # started_ago is for observe.sh
take_unit() {
  local name value entered=0 started=0
  load=not-found active=inactive works_in='' unit_file='' drop_ins='' runs_as='' starts='' is_privileged='' main_process=0 last_process=0 invocation='' active_for='' started_ago=''
  while IFS='=' read -r name value && [ -n "$name" ]; do
    case $name in
      LoadState) load=$value ;;
      ActiveState) active=$value ;;
      WorkingDirectory) works_in=${value#[!/]} ;;
      FragmentPath) unit_file=$value ;;
      DropInPaths) drop_ins=$value ;;
      User) runs_as=$value ;;
      ExecStartEx) case $value in *'; flags='*privileged*) is_privileged=yes ;; esac ;;
      ExecStart) starts=${value#*path=} starts=${starts%% ;*} ;;
      MainPID) main_process=$value ;;
      ExecMainPID) last_process=$value ;;
      InvocationID) invocation=$value ;;
      ActiveEnterTimestampMonotonic) entered=$value ;;
      ExecMainStartTimestampMonotonic) started=$value ;;
    esac
  done
  read_uptime
  if [ "$active" = active ]; then active_for=$((uptime - entered / 1000000)); fi
  if [ "$started" -gt 0 ]; then started_ago=$((uptime - started / 1000000)); fi
}

prove_own_unit() {
  if [ "$load" = foreign ]; then fail "$unit works in $works_in and not in $directory: another runner's unit is left alone"; fi
}

# How the loaded unit is not as it should be, in one line: whoever can change it decides what root starts, and as whom.
unit_alteration() {
  local owner group mode file
  if [ "${runs_as:-root}" != "$user" ]; then
    printf '%s runs as %s and not as %s\n' "$unit" "${runs_as:-root}" "$user"
    return 0
  fi
  if [ -n "$is_privileged" ]; then
    printf '%s starts its program as root in spite of its user\n' "$unit"
    return 0
  fi
  case $starts in
    "$directory/runsvc.sh" | "$runner_path/runsvc.sh" | "$directory/run.sh" | "$runner_path/run.sh") ;;
    *)
      printf '%s starts %s and not %s/runsvc.sh\n' "$unit" "${starts:-nothing}" "$directory"
      return 0
      ;;
  esac
  # shellcheck disable=SC2086 # systemd's list, in which a blank in a name is written otherwise
  while read -r owner group mode file; do
    if [ "$owner" != 0 ] || [[ $mode == ????????w* ]] || { [[ $mode == ?????w* ]] && [ "$group" != 0 ]; }; then
      printf '%s can be changed by others than root\n' "$file"
      return 0
    fi
  done < <(stat -L -c '%u %g %A %n' -- "$unit_file" $drop_ins 2>/dev/null || true)
}

# The unit as GitHub's own template has it, and what Runward adds beside it.
# https://github.com/actions/runner/blob/main/src/Misc/layoutbin/actions.runner.service.template
unit_text() {
  cat <<END
[Unit]
Description=GitHub Actions Runner (${unit#actions.runner.})
After=network-online.target

[Service]
ExecStart=$(for_systemd "$directory/runsvc.sh")
User=$user
WorkingDirectory=${directory//%/%%}
KillMode=process
KillSignal=SIGTERM
TimeoutStopSec=5min

[Install]
WantedBy=multi-user.target
END
}

# It starts once the clock is right, since GitHub refuses one that is wrong by minutes; and no more than ten times in ten minutes. systemd does not
# start it again by itself: what is left of the last start would be a second listener.
drop_in_text() {
  cat <<END
[Unit]
After=time-sync.target
StartLimitIntervalSec=600
StartLimitBurst=10
END
}

# for_systemd PATH: as a program's path in a unit, of which only a working directory is taken as it is written.
# https://www.freedesktop.org/software/systemd/man/latest/systemd.service.html#Command%20lines
for_systemd() {
  local path=${1//\\/\\\\}
  path=${path//%/%%}
  path=${path//\"/\\x22}
  path=${path//\'/\\x27}
  printf '%s\n' "${path// /\\x20}"
}

# not_started STATE EVIDENCE: ends the step.
not_started() {
  say unit "$unit"
  say state "$1"
  otherwise not-started "$2"
}

# Makes the unit what it should be, and sees it loaded; `changed` says whether it was not. The unit has been read.
ensure_unit() {
  local file=/etc/systemd/system/$unit
  local drop_in=$file.d/runward.conf
  changed=no
  if [ -z "$unit" ]; then not_started missing "the name of this runner's unit is not known: neither .service nor svc.sh in $directory names it"; fi
  prove_own_unit
  if [ "$load" = masked ]; then not_started "$active" "$unit is masked, so a person wants it not to start: \`systemctl unmask $unit\` lets it"; fi
  if ! is_loaded || [ -n "$(unit_alteration)" ]; then
    rm -rf -- "$file" # a link would be followed
    unit_text | keep "$file"
    chmod 644 -- "$file"
    changed=yes
  fi
  if [ ! -f "$drop_in" ] || [ "$(<"$drop_in")" != "$(drop_in_text)" ]; then
    if [ ! -d "$file.d" ]; then mkdir -m 755 -- "$file.d"; fi
    drop_in_text | keep "$drop_in"
    chmod 644 -- "$drop_in"
    changed=yes
  fi
  if [ "$changed" = yes ]; then
    systemctl daemon-reload
    read_unit
    if ! is_loaded; then not_started missing "systemd does not load $file"; fi
    if [ -n "$(unit_alteration)" ]; then fail "$(unit_alteration), by one of ${drop_ins:-no drop-in}: remove what changes it, and \`systemctl daemon-reload\`"; fi
  fi
  own_state
  if [ "$(cat "$STATE/unit" 2>/dev/null)" != "$unit" ]; then printf '%s\n' "$unit" | keep "$STATE/unit"; fi
  give_start_files
}

# What the unit starts, and what people and the runner's own scripts look for.
give_start_files() {
  ask_user '
    give() { cat >"$1.runward" && mv -fT -- "$1.runward" "$1"; }
    if [ -f bin/runsvc.sh ] && ! cmp -s bin/runsvc.sh runsvc.sh; then cp bin/runsvc.sh runsvc.sh.runward && chmod 755 runsvc.sh.runward && mv -fT runsvc.sh.runward runsvc.sh; fi
    if [ ! -s .service ] || [ "$(head -c 300 .service)" != "$1" ]; then printf "%s\n" "$1" | give .service; fi
    if [ ! -s .path ]; then printf "%s\n" "$2" | give .path; fi
    if [ ! -e .env ]; then printf "LANG=C.UTF-8\n" | give .env; fi' "$unit" "$SYSTEM_PATH:/snap/bin" \
    || fail "runsvc.sh and .service could not be written in $directory as $user; see whether its disk is full (\`df $directory\`) or read-only"
}

is_loaded() {
  [ "$load" = loaded ]
}

# What the service printed since its current or last start, and what systemd said as it started it. Jobs write into the journal of the same unit, by
# syslog, by systemd-cat and by journald's own socket; journald notes the true writer of each line. While the service runs, its own words are those
# of its own processes; once it has ended, those of the stream that was the first to say anything, and of its main process.
journal() {
  local pid own=()
  if [ -z "$invocation" ]; then return 0; fi
  own=("_SYSTEMD_INVOCATION_ID=$invocation" _TRANSPORT=stdout _TRANSPORT=journal)
  if [ "$main_process" != 0 ]; then
    for pid in $(processes_named runsvc.sh run.sh run-helper.sh bash sh node MainThread Runner.Listener); do
      if is_of_unit "$pid"; then own+=("_PID=$pid"); fi
    done
  else
    own+=("_PID=$last_process" + "_SYSTEMD_INVOCATION_ID=$invocation" "_STREAM_ID=$(first_stream)")
  fi
  timeout 10 journalctl --no-pager -q -o cat -n 200 "${own[@]}" | tail -c 65536 || true
}

first_stream() {
  timeout 10 journalctl --no-pager -q -o export --output-fields=_STREAM_ID "_SYSTEMD_INVOCATION_ID=$invocation" _TRANSPORT=stdout \
    | sed -n '/^_STREAM_ID=/ { s///p; q }' || true
}

has_said_it_started() {
  case $(journal) in *'Started running service'*) return 0 ;; esac
  return 1
}

# Whether the unit, which has been read, runs something.
is_running() {
  is_loaded && ! is_at_rest && [ "${main_process:-0}" != 0 ]
}

# One that was started a moment ago.
await_started() {
  if is_loaded && [ "${active_for:-60}" -lt 60 ]; then within 30 has_said_it_started || true; fi
}

is_at_rest() {
  case $active in inactive | failed) return 0 ;; esac
  return 1
}

# Stops the runner's service and sees all of it gone. A service that was started a moment ago has no handler for the signal yet and would
# hang for five minutes, so its own word that it runs is waited for; one that hangs all the same is helped by ending its processes. A job
# that was to be stopped by force and goes on is ended: the next listener would start another beside it in the same folders.
# By `stop_paused` alone.
stop_service() {
  local doomed='' pid
  read_unit
  prove_own_unit
  if is_forced; then
    doomed=$(workers runner)
    held=$(printf '%s\n' "$(takers)" "$doomed" | describe)
  elif [ -z "$held" ] && is_running; then
    otherwise not-paused "$unit was started meanwhile"
  fi
  if [ -n "$held" ]; then is_stopping=yes; fi
  if is_loaded && ! is_at_rest; then
    is_stopping=yes
    await_started
    # shellcheck disable=SC2046 # numbers
    signal CONT $(listeners) # one that is held hears no signal
    if ! timeout 45 systemctl stop -- "$unit"; then
      end_leftovers
      timeout 15 systemctl stop -- "$unit" || true
    fi
    read_unit
    is_at_rest || fail "$unit did not stop; it is $active"
  fi
  end_leftovers
  for pid in $doomed; do
    if [ "$(name_of "$pid")" = Runner.Worker ]; then signal KILL "$pid"; fi
  done
}

# Ends the step where something takes jobs, or would start what does, while the unit does not run: a restart of the service pauses it, has GitHub
# asked, and ends it.
prove_no_strays() {
  local found
  prove_idle runner
  purpose=start-service
  found=$(takers)
  if [ -n "$found" ]; then otherwise not-paused "a listener, or what starts one, lives outside of $unit (process $(in_one_line "$found"))"; fi
}

# Starts the runner's unit, which is loaded, and watches it until one listener has lived for some seconds.
start_service() {
  local until listener is_started=
  if [ "$active" = active ]; then
    is_started=yes # a listener that this step has not ended may hold the runner's session
  else
    prove_no_strays
    systemctl reset-failed -- "$unit" || true # systemd refuses a sixth start within ten seconds, until it is told to forget the others
    systemctl start -- "$unit" || true
  fi
  read_uptime
  until=$((uptime + ${given[start_seconds]:-60}))
  while [ "$uptime" -lt "$until" ]; do
    listener=$(own_listeners)
    if [ -n "$is_started" ] && [ "$(listeners)" != "$listener" ]; then listener=; fi
    if [ -n "$listener" ]; then rest "${given[settle_seconds]:-5}"; else rest 0.5; fi
    read_unit
    if is_at_rest; then break; fi
    if [ "$active" = active ] && [[ $listener =~ ^[0-9]+$ ]] && [ "$(own_listeners)" = "$listener" ] && ! stands_still "$listener"; then
      rm -f -- "$STATE/unfinished"
      say kind started
      say unit "$unit"
      return 0
    fi
    read_uptime
  done
  not_started "$active" "$(journal | tail -n 20)"
}

# --- the drain -------------------------------------------------------------------------------------------------------------------------------

# The mark that the runner shall take no jobs: epoch seconds, whose word it is (`person`, or `room`: Runward's own, for want of it), the reason,
# and the labels that were taken away at GitHub, as JSON, or an empty line. All of it; nothing if there is none.
drain_mark() {
  if [ -f "$STATE/drained" ]; then head -c 4096 -- "$STATE/drained"; fi
}

is_drained() {
  [ -e "$STATE/drained" ]
}

is_drained_for_room() {
  [ "$(drain_mark | sed -n 2p)" = room ]
}

# Ends the step if the runner is to take no jobs, and the step was not told so: whoever asked for it may have looked before it was drained.
prove_drain_seen() {
  if ! is_drained || [ "${given[drain_seen]:-}" = person ]; then return 0; fi
  if [ "${given[drain_seen]:-}" = room ] && is_drained_for_room; then return 0; fi
  otherwise refused-drained 'the runner is drained, and stays so until `runward runner resume`'
}

# --- the pause -------------------------------------------------------------------------------------------------------------------------------

# A paused runner takes no job: its listener, and what would start another one, are held by SIGSTOP. Its worker never is. Nothing ends a listener
# that is not paused, but for a person's force.
#
# Each pause is a folder of root's, PAUSE.RANDOM, which the step that uses it finds by what it is for. A unit of systemd, named like the folder,
# watches over it: it lets go within a second or two of the sight of a worker, since a listener renews the lock of its job, and after PAUSE_SECONDS.
# However that unit ends, systemd lets go.
#   held      what is held, a line each: PROCESS STARTED USER-ID; it goes as the first of letting go
#   purpose   what it is for
#   chosen    what is to go, if that was chosen before
PAUSE_SECONDS=${given[pause_seconds]:-120}
PAUSE=$RUN/runward-pause-$(printf '%s' "$runner_path" | cksum | tr ' ' -)
# What a pause is for, and whose listeners it holds: this `runner`'s, or those of all on the `machine`.
purpose=${given[purpose]:-} whose=runner held='' pause_folder=''

# Processes that take jobs, or start what does, one a line.
takers() {
  if [ "$whose" = machine ]; then
    { all_supervisors && all_listeners; } | sort -nu
  else
    supervisors
    listeners
  fi
}

# describe: of the processes of standard input a line each as in `held`; one that has ended has none.
describe() {
  local pid stat fields name value user_of
  while read -r pid; do
    stat='' user_of=''
    { IFS= read -r -d '' stat <"/proc/$pid/stat"; } 2>/dev/null || true # to the end: a name may hold a line's
    read -r -a fields <<<"${stat##*) }"
    while read -r name value _; do
      if [ "$name" = Uid: ]; then user_of=$value; fi
    done 2>/dev/null <"/proc/$pid/status" || true
    if [ -n "$user_of" ] && [ -n "${fields[19]:-}" ]; then printf '%s %s %s\n' "$pid" "${fields[19]}" "$user_of"; fi
  done
}

# Holds what is described in `held`, as whoever runs it.
stop_held() {
  local pid started uid
  local -A of=()
  while read -r pid started uid; do of[$uid]+=" $pid"; done <<<"$held"
  for uid in "${!of[@]}"; do
    # shellcheck disable=SC2086 # numbers
    if [ -n "$uid" ]; then signal_as "$uid" STOP ${of[$uid]}; fi
  done
}

# continue_held FOLDER: lets go on what the pause of this folder has held, but for what another pause holds; fails where something still stands. By
# root itself, since what has to become another user first may hang, or be kept from it.
continue_held() {
  local line pid code=0
  while IFS= read -r line; do
    pid=${line%% *}
    if [ -z "$pid" ] || [ "$(describe <<<"$pid")" != "$line" ] || is_held_elsewhere "$line" "$1"; then continue; fi
    kill -CONT "$pid" 2>/dev/null || true
    if stands_still "$pid"; then code=1; fi
  done <<<"$held"
  return "$code"
}

# is_held_elsewhere LINE FOLDER: whether a pause other than that of the folder stands and holds this process, of whichever runner.
is_held_elsewhere() {
  local folder
  for folder in "$RUN"/runward-pause-*; do
    if [ "$folder" != "$2" ] && grep -qsxF -- "$1" "$folder/held" && is_pause "$folder"; then return 0; fi
  done
  return 1
}

# is_pause FOLDER: whether it stands; one that was cut off while it began does not.
is_pause() {
  [ -e "$1/held" ] && systemctl -q is-active -- "${1##*/}.service"
}

# was_held PROCESS
was_held() {
  [ -n "${held:-}" ] && is_in_held "$(describe <<<"$1")"
}

# stands_still PROCESS
stands_still() {
  local stat=
  { IFS= read -r -d '' stat <"/proc/$1/stat"; } 2>/dev/null || true
  case ${stat##*)} in ' T'*) return 0 ;; esac
  return 1
}

# Whether all that is held stands still, or has ended.
are_held() {
  local pid stat
  while read -r pid _; do
    stat=') T'
    if [ -n "$pid" ]; then { IFS= read -r -d '' stat <"/proc/$pid/stat"; } 2>/dev/null || true; fi
    case ${stat##*)} in ' T'*) ;; *) return 1 ;; esac
  done <<<"$held"
}

# Holds what takes jobs, and sees it held; sets `held` and `pause_folder`, which are empty where nothing does. What was paused before goes over
# into it without a gap. Whoever calls it lets go, or ends what is held.
hold() {
  local folder earlier=() each
  held=$(takers | describe)
  if [ -z "$held" ]; then return 0; fi
  for each in "$PAUSE".*; do
    if [ -d "$each" ]; then earlier+=("$each"); fi
  done
  folder=$PAUSE.$RANDOM$RANDOM
  mkdir -m 700 -- "$folder"
  cp -- "$STEP_FOLDER/lib.sh" "$folder"
  grep -v '^paused=' "$STEP_FOLDER/parameters" >"$folder/parameters"
  printf '. "${0%%/*}/lib.sh"\npurpose=%q whose=%q\nwatch_pause\n' "$purpose" "$whose" >"$folder/watch.sh"
  printf '. "${0%%/*}/lib.sh"\nrelease "$STEP_FOLDER"\n' >"$folder/release.sh"
  printf '%s\n' "$purpose" >"$folder/purpose"
  if [ -e "$STEP_FOLDER/chosen" ]; then cp -- "$STEP_FOLDER/chosen" "$folder"; fi
  printf '%s\n' "$held" >"$folder/held"
  systemd-run -q --collect "--unit=${folder##*/}" -p "RuntimeMaxSec=$((PAUSE_SECONDS + 5))" -p TimeoutStopSec=30 \
    -p "ExecStopPost=/bin/bash $folder/release.sh $folder" /bin/bash "$folder/watch.sh" "$folder"
  stop_held
  for each in "${earlier[@]}"; do
    rm -f -- "$each/held"
    end_pause "$each"
  done
  pause_folder=$folder
  within 5 is_settled || true
  if ! are_held || ! [ -e "$folder/held" ]; then
    continue_held "$folder" || true # it may have been let go before it was held
    prove_idle "$whose"
    otherwise not-paused "what takes jobs does not stand still, or was let go (process $(in_one_line "${held//$'\n'/;}"))"
  fi
}

# Whether what is held stands still, or was let go meanwhile.
is_settled() {
  are_held || ! [ -e "$pause_folder/held" ]
}

# end_pause FOLDER: lets go, if it has not been.
end_pause() {
  systemctl -q stop "${1##*/}.service" 2>/dev/null || true
  release "$1"
}

# release FOLDER: lets go. It can be cut off anywhere, and done by several at once. What it could not let go stays written down.
release() {
  local held
  mv -- "$1/held" "$1/held.gone" 2>/dev/null || true
  if held=$(cat -- "$1/held.gone" 2>/dev/null); then
    within 5 continue_held "$1" || fail "what was paused does not go on (process $(in_one_line "${held//$'\n'/;}")): somebody else holds it; \`kill -CONT\` lets it go"
  fi
  rm -rf -- "$1"
}

# Lets this runner go, and all that was held with it.
let_go() {
  local folder
  trap - EXIT
  for folder in "$PAUSE".*; do
    if [ -d "$folder" ]; then end_pause "$folder"; fi
  done
}

# What watches over a pause does.
watch_pause() {
  local until
  if [ "${given[strays]:-}" = ignored ]; then read_unit; fi
  held=$(cat -- "$STEP_FOLDER/held" 2>/dev/null) || true
  read_uptime
  until=$((uptime + PAUSE_SECONDS))
  while [ "$uptime" -lt "$until" ] && [ -z "$(workers "$whose")" ]; do
    rest 0.5
    read_uptime
  done
  mv -- "$STEP_FOLDER/held" "$STEP_FOLDER/held.gone"
  continue_held "$STEP_FOLDER" || true
  rest 2 # who holds it may have been about to, and `release` comes then
}

# Sets `pause_folder` to the pause for this purpose that stands, and `held`; to nothing without one.
find_pause() {
  local folder
  pause_folder='' held=''
  for folder in "$PAUSE".*; do
    if [ "$(cat -- "$folder/purpose" 2>/dev/null)" = "$purpose" ] && held=$(cat -- "$folder/held" 2>/dev/null); then
      pause_folder=$folder
      return 0
    fi
  done
}

# Whether all that takes jobs is held, and has been since the pause began.
is_all_held() {
  local line
  if [ -z "$pause_folder" ]; then return 1; fi
  while IFS= read -r line; do
    if ! is_in_held "$line"; then return 1; fi
  done < <(takers | describe)
  are_held && [ -e "$pause_folder/held" ]
}

# is_in_held LINE
is_in_held() {
  [[ $'\n'$held$'\n' == *$'\n'$1$'\n'* ]]
}

# stoppable PROCESS …: those of them that were held, a line each; by force all of them.
stoppable() {
  local line
  if is_forced && [ $# -gt 0 ]; then printf '%s\n' "$@"; fi
  if is_forced || [ $# -eq 0 ]; then return 0; fi
  while IFS= read -r line; do
    if is_in_held "$line"; then printf '%s\n' "${line%% *}"; fi
  done < <(printf '%s\n' "$@" | describe)
}

# begin_stopping PURPOSE [PREPARE]: ends the step unless all that could take a job is paused for this purpose and GitHub has sent nothing since it
# was asked; or nothing is there that could; or a person's force goes past a job. PREPARE is what is slow and the pause has done before it began: without
# a pause it is done here. The unit has not been read. The end of the step lets go.
begin_stopping() {
  local prepare=${2:-:} found
  purpose=$1 held='' pause_folder=''
  if is_forced; then
    "$prepare"
    return 0
  fi
  read_unit
  if [ "$whose" = runner ]; then prove_user; fi
  if [ "${given[paused]:-}" = yes ]; then
    find_pause
    if is_all_held; then
      prove_idle "$whose"
      prove_nothing_heard
      return 0
    fi
    held=''
    found=$(takers)
    if [ -n "$found" ]; then otherwise not-paused "a listener was started, or let go, since it was paused (process $(in_one_line "$found"))"; fi
  fi
  prove_nothing_lives
  if [ "$prepare" != : ]; then
    "$prepare"
    prove_nothing_lives
  fi
}

# Ends the step where something lives that could take a job.
prove_nothing_lives() {
  local found
  if [ "$whose" = runner ]; then refresh_unit; fi
  prove_idle "$whose"
  found=$(takers)
  if [ -n "$found" ]; then otherwise not-paused "a listener, or what starts one, lives (process $(in_one_line "$found"))"; fi
  if [ "$whose" = runner ] && is_running; then otherwise not-paused "$unit is $active, and may start a listener"; fi
}

# All stays paused, so that GitHub can be asked again.
prove_nothing_heard() {
  local heard
  heard=$(unread)
  if [ "$heard" != "${given[unread]:-}" ]; then
    trap - EXIT
    say kind heard
    say_text unread "$heard"
    exit "$OTHERWISE"
  fi
}

# The one way to stop this runner's service, after `begin_stopping`. SIGINT waits for the held listener, and is what it hears first when it is let
# go: it ends its session with GitHub, and reads no more of it.
# shellcheck disable=SC2086 # numbers
stop_paused() {
  local processes found
  if [ -n "$held" ]; then
    is_all_held || otherwise not-paused 'a listener was started, or let go, meanwhile'
    prove_idle runner
    processes=$(supervisors)
    found=$(listeners)
    is_stopping=yes
    if is_loaded && ! is_at_rest; then systemctl stop --no-block -- "$unit"; fi
    signal INT $found
    signal CONT $found
    within 15 no_listener || true
    signal CONT $processes
  fi
  stop_service
}

# What GitHub has sent and no listener has read, as connections and numbers of bytes: it may be a job, or the end of a poll without one.
unread() {
  local pid own
  for pid in $(if [ "$whose" = machine ]; then all_listeners; else listeners; fi); do
    own=$(find "/proc/$pid/fd" -lname 'socket:*' -printf '%l ' 2>/dev/null | tr -dc '0-9 ' || true)
    { cat "/proc/$pid/net/tcp" "/proc/$pid/net/tcp6" 2>/dev/null || true; } \
      | awk -v "own= $own" 'index(own, " " $10 " ") && sub(/.*:0*/, "", $5) && $5 != "" { printf "%s:%s ", $10, $5 }'
  done
}

# --- set-aside files -------------------------------------------------------------------------------------------------------------------------

# One complete set of files that count as the old configuration; it is built as ASIDE.new, so that a cut-off copy is gone on with.
ASIDE=$STATE/aside
# What a registration made, until it has been verified.
REGISTERED=$STATE/registered
# The programs of the pristine package that register, while a recovery needs them.
REGISTERING=$ROOTS/registering

# Notes that the runner is left without a service until a recovery brings it to serve again: by whom, in which directory, and when, by the uptime.
# While the note stands the driver gives the fence to nobody else.
note_unfinished() {
  local holder='' boot
  { read -r _ && IFS= read -r holder; } 2>/dev/null <"$ROOTS/fence" || true
  read -r boot </proc/sys/kernel/random/boot_id
  read_uptime
  printf '%s\n%s\n%s\n%s\n' "$holder" "$directory" "$boot" "$uptime" | keep "$STATE/unfinished"
}

# Away with a folder of root's in one move: a half-deleted one would be taken for a whole.
drop() {
  if [ -e "$1" ]; then
    rm -rf -- "$1.old"
    mv -T -- "$1" "$1.old"
  fi
  rm -rf -- "$1.old"
}

# Deletes what was set aside, its room in the runner's directory, and what registered.
drop_all() {
  drop_spare
  drop "$ASIDE"
  drop "$REGISTERED"
  rm -rf -- "$ASIDE.new" "$REGISTERED.new" "$REGISTERING"
}

# --- the registration ------------------------------------------------------------------------------------------------------------------------

# Runner packages as GitHub publishes them, each in a folder of its version: `package.tar.gz`, and its SHA-256 in hexadecimal in `sha256`.
PACKAGES=$ROOTS/packages

registers_in_directory() {
  [ "${given[registration]:-pristine}" = from-runner-directory ]
}

# What is slow of setting a configuration aside.
prepare_config_cleanup() {
  prove_user
  prove_room
  own_state
  prove_installed
  prove_registration
}

# Ends the step unless programs that no job has touched can register the runner: unpacks them, and sees them run.
prove_registration() {
  local said
  if registers_in_directory; then return 0; fi
  unpack_package
  if ! said=$(throw_away './bin/Runner.Listener --version 2>&1' </dev/null); then
    drop "$REGISTERING"
    otherwise refused-unfit "the Runner.Listener of a pristine package does not run in the guest, not even as a user of its own: $(printf '%s' "$said" | tail -c 500). Install what it needs by \`$directory/bin/installdependencies.sh\`, and recover again"
  fi
}

# Version of the newest package that is there whole; nothing where there is none.
newest_package() {
  local folder versions=()
  for folder in "$PACKAGES"/*; do
    if [ -O "$folder" ] && [ -s "$folder/sha256" ] && [[ ${folder##*/} =~ ^[0-9][0-9.]*$ ]]; then versions+=("${folder##*/}"); fi
  done
  if [ ${#versions[@]} -gt 0 ]; then printf '%s\n' "${versions[@]}" | sort -V | tail -n 1; fi
}

# Unpacks `bin` of the newest package into REGISTERING, where it was not by an earlier attempt.
unpack_package() {
  local version said
  version=$(newest_package)
  if [ -z "$version" ]; then
    otherwise refused-no-package "there is no package of the runner in $PACKAGES, so nothing that a job could not have changed can register it"
  fi
  if [ -e "$REGISTERING/$version" ]; then return 0; fi
  if ! printf '%s  %s\n' "$(<"$PACKAGES/$version/sha256")" "$PACKAGES/$version/package.tar.gz" | sha256sum -c --status; then
    rm -rf -- "${PACKAGES:?}/$version"
    otherwise refused-no-package "the package of runner $version in the guest was damaged, and has been removed"
  fi
  rm -rf -- "$REGISTERING"
  own_folder "$REGISTERING"
  if ! said=$(umask 022 && tar -xz -C "$REGISTERING" --no-same-owner --wildcards -f "$PACKAGES/$version/package.tar.gz" '*bin/*' 2>&1); then
    rm -rf -- "$REGISTERING"
    otherwise refused-unfit "the package of runner $version could not be unpacked below $ROOTS: $(printf '%s' "$said" | tail -n 1). See whether its disk is full (\`df $ROOTS\`), and recover again"
  fi
  : >"$REGISTERING/$version"
}

# throw_away SCRIPT ARGUMENT …: runs a script as a user who exists for it alone, in a private folder that holds the pristine `bin`, read-only.
# Runner.Listener takes the folder that its own `bin` lies in for the runner's: so `bin` is mounted there, since a link would lead it elsewhere.
# No other user can look into that folder, nor into the environment of its processes; it ends with this act.
throw_away() {
  systemctl -q stop runward-register.service 2>/dev/null || true
  systemd-run -q --wait --pipe --collect --unit=runward-register -p BindsTo=runward-act.service \
    -p DynamicUser=yes -p PrivateTmp=yes -p ProtectHome=yes -p ProtectProc=invisible -p UMask=0077 \
    -p "BindReadOnlyPaths=$REGISTERING/bin:/tmp/bin" -p WorkingDirectory=/tmp -p TimeoutStopSec=5 -p RuntimeMaxSec=300 \
    -E HOME=/tmp -E LC_ALL=C.UTF-8 -E "PATH=$SYSTEM_PATH" /bin/bash -c "$1" runward "${@:2}"
}

# What was paused for this step goes on whatever becomes of it.
if [ "${given[paused]:-}" = yes ]; then trap let_go EXIT; fi
