#!/bin/bash
# Has the guest pause the listener of a drained runner in the moment in which its job ends, before it asks for the next one. A unit of its own
# does that (`wait-for-end.sh FOLDER wait`), and ends with the drain or its undoing.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

# For how long a listener is paused that nobody comes to stop.
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
  local name=runward-wait-${PAUSE##*/runward-pause-} folder
  folder=$RUN/$name
  if systemctl -q is-active -- "$name"; then return 0; fi
  rm -rf -- "$folder"
  mkdir -m 700 -- "$folder"
  cp -- "$0" "$folder/wait-for-end.sh"
  cp -- "${0%/*}/lib.sh" "$STEP_FOLDER/parameters" "$folder"
  printf 'pause_seconds=%s\n' "$HOLD_SECONDS" >>"$folder/parameters"
  systemd-run -q --collect "--unit=$name" "--description=pauses the listener in $directory when its job ends" \
    -p "ExecStopPost=/bin/bash $folder/wait-for-end.sh $folder end" /bin/bash "$folder/wait-for-end.sh" "$folder" wait
}

wait_for_ends() {
  local listener code priority=()
  if chrt -f 99 true 2>/dev/null; then priority=(chrt -f 99); fi
  while is_drained; do
    read_unit
    if is_at_rest; then break; fi
    listener=$(own_listeners)
    if has_pause || ! [[ $listener =~ ^[0-9]+$ ]]; then
      rest 0.5
      continue
    fi
    code=0
    "${priority[@]}" perl -e "$HOLD_AT_END" -- "$STATE/drained" "$listener" || code=$?
    case $code in
      0) bash "$0" "$STEP_FOLDER" pause || true ;;
      3) ;;
      *) rest 1 ;;
    esac
  done
}

# By a pause as any other, which whoever stops the runner takes over. A job that has begun all the same goes on, and so does a listener that an act
# let go meanwhile: the fence keeps acts apart from each other, and this is none.
pause_all() {
  purpose=drain
  trap let_go_all EXIT
  if ! has_pause; then hold; fi
  prove_idle runner
  is_drained
  has_pause
  trap - EXIT
}

let_go_all() {
  let_go
  held=$(listeners | describe)
  continue_held '' || true
}

has_pause() {
  local folder
  for folder in "$PAUSE".*; do
    if is_pause "$folder"; then return 0; fi
  done
  return 1
}

enter_directory
case ${2:-} in
  wait) wait_for_ends ;;
  pause) pause_all ;;
  end)
    # It may have ended between its own hold and the pause.
    if ! has_pause; then let_go_all; fi
    rm -rf -- "$STEP_FOLDER"
    ;;
  *)
    if ! is_drained; then otherwise not-waiting 'the runner is not marked as drained any more'; fi
    if ! type perl >/dev/null 2>&1; then otherwise not-waiting 'the guest has no perl'; fi
    start_waiter
    say kind waiting
    ;;
esac
