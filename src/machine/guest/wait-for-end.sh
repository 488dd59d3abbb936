#!/bin/bash
# Has the guest hold the listener of a drained runner in the moment in which its job ends, before it asks for the next one. A unit of its own
# does that (`wait-for-end.sh FOLDER waiter`), which ends with the drain or its undoing and lets go as it ends, however it does.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

WAITERS=/run/runward
# For how long a listener is held that nobody comes to stop.
HOLD_SECONDS=45

# Waits for a worker of a listener, then for its end, and holds the listener: before the listener hears of that end, since the kernel wakes who waits
# on a pidfd first, and this program before others. Ends with 0 once it has held it, with 3 if the runner is not to be drained any more, and
# with 4 if the listener is gone. 434 is pidfd_open, 424 pidfd_send_signal, 19 SIGSTOP, 18 SIGCONT.
# https://man7.org/linux/man-pages/man2/pidfd_open.2.html
# shellcheck disable=SC2016 # Perl's own
HOLD_AT_END='
  use strict;
  my ($mark, $listener) = @ARGV;
  my $held = syscall(434, $listener + 0, 0);
  my $worker;
  until (defined $worker) {
    exit 3 unless -e $mark;
    exit 4 unless $held >= 0 && -e "/proc/$listener/exe";
    for (glob("/proc/[0-9]*/stat")) {
      open(my $file, "<", $_) or next;
      my $stat = <$file> // "";
      $worker = $1 if $stat =~ /^(\d+) \(Runner\.Worker\) [^Z] (\d+) / && $2 == $listener;
    }
    select(undef, undef, undef, 0.2) unless defined $worker;
  }
  my $end = syscall(434, $worker + 0, 0);
  my $watched = "";
  vec($watched, $end, 1) = 1 if $end >= 0;
  for (my $ended = $watched; $end >= 0 && select($ended, undef, undef, 1) == 0; $ended = $watched) {
    exit 3 unless -e $mark;
  }
  my $failed = syscall(424, $held, 19, 0, 0);
  exit 4 if $failed;
  unless (-e $mark) {
    syscall(424, $held, 18, 0, 0);
    exit 3;
  }'

start_waiter() {
  local name folder
  name=runward-wait-$(printf '%s' "$home" | cksum | cut -d ' ' -f 1)
  folder=$WAITERS/$name
  if systemctl -q is-active -- "$name"; then return 0; fi
  rm -rf -- "$folder"
  mkdir -m 700 -- "$folder"
  cp -- "$0" "$folder/wait-for-end.sh"
  cp -- "${0%/*}/lib.sh" "$STEP_FOLDER/parameters" "$folder"
  systemd-run -q --collect "--unit=$name" "--description=holds the listener in $directory when its job ends" \
    -p "ExecStopPost=/bin/bash $folder/wait-for-end.sh $folder let-go" /bin/bash "$folder/wait-for-end.sh" "$folder" waiter
}

wait_for_ends() {
  local listener code priority=()
  if chrt -f 99 true 2>/dev/null; then priority=(chrt -f 99); fi
  while is_drained; do
    read_unit
    if is_at_rest; then break; fi
    listener=$(own_listeners)
    if ! [[ $listener =~ ^[0-9]+$ ]]; then
      pause 1
      continue
    fi
    code=0
    "${priority[@]}" perl -e "$HOLD_AT_END" -- "$STATE/drained" "$listener" || code=$?
    if [ "$code" = 0 ]; then hold "$listener"; fi
    if [ "$code" != 0 ] && [ "$code" != 3 ]; then pause 1; fi
  done
}

# hold LISTENER: until it was stopped or let go by somebody else, or for as long as nobody comes. A worker that began all the same needs its
# listener, which renews the lock of the job.
hold() {
  local until
  read_uptime
  until=$((uptime + HOLD_SECONDS))
  while is_drained && is_held "$1" && [ -z "$(workers runner)" ] && [ "$uptime" -lt "$until" ]; do
    pause 0.5
    read_uptime
  done
  let_go "$1"
}

is_held() {
  [ -e "/proc/$1/exe" ] && are_frozen "$1"
}

# let_go LISTENER: unless an act holds it by now, which sees to it by itself.
let_go() {
  if [ -n "$(workers runner)" ] || ! is_armed "$1"; then signal CONT "$1"; fi
}

is_armed() {
  [ -n "$(systemctl list-units --plain --no-legend 'runward-thaw-*.timer' | cut -d ' ' -f 1)" ]
}

enter_directory
case ${2:-} in
  waiter) wait_for_ends ;;
  let-go)
    for listener in $(listeners); do let_go "$listener"; done
    rm -rf -- "$STEP_FOLDER"
    ;;
  *)
    if ! is_drained; then otherwise not-waiting 'the runner is not marked as drained any more'; fi
    if ! type perl >/dev/null 2>&1; then otherwise not-waiting 'the guest has no perl'; fi
    start_waiter
    say kind waiting
    ;;
esac
