#!/bin/sh
# Runs a command that must not outlive whoever started it: it ends when standard input closes, or when this shell is told to end.
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
trap 'kill "$child" 2>/dev/null' TERM INT HUP
(
	read -r _ <&3
	kill "$child" 2>/dev/null
) &
watch=$!
exec 3<&-
wait "$child"
status=$?
# A trapped signal ends `wait` early: the command itself is still to be seen to end.
while kill -0 "$child" 2>/dev/null; do
	wait "$child"
	status=$?
done
kill "$watch" 2>/dev/null
exit "$status"
