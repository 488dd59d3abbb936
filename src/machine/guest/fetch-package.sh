#!/bin/bash
# Downloads the runner's package, checks it, and keeps it in the place of every other one. Needs no idle runner.
# shellcheck source=package.sh
. "${0%/*}/lib.sh"

# A package is some 200 MiB, and a guest that needs longer gets it on the next try: what has come stays.
MOST_BYTES=1073741824
ulimit -f "$((MOST_BYTES / 1024))" # also if a server says no length
CONNECT_SECONDS=20
TRIES=3

# Sets said to the end of what went wrong, and code. Neither program reads a file of settings, since those are somebody's; only https is followed
# to, but for an address that is http by itself: that of a server that the configuration names.
download() {
  local seconds=$1 protocols='=https' only=(--https-only)
  if [[ ${given[address]} == http://* ]]; then protocols='=http,https' only=(); fi
  code=0
  if command -v curl >/dev/null; then
    said=$(curl -q -s -S -f -L --proto "$protocols" --proto-redir "$protocols" --max-redirs 5 --connect-timeout "$CONNECT_SECONDS" \
      --speed-limit 1024 --speed-time 30 --max-time "$seconds" --max-filesize "$MOST_BYTES" \
      -C - -o "$archive" -- "${given[address]}" 2>&1 | tail -c 1024) || code=$?
  elif command -v wget >/dev/null; then
    said=$(timeout "$seconds" wget --no-config -nv "${only[@]}" --max-redirect=5 --timeout="$CONNECT_SECONDS" --tries=1 \
      -c -O "$archive" -- "${given[address]}" 2>&1 | tail -c 1024) || code=$?
  else
    said='neither curl nor wget is installed' code=127
  fi
}

# Goes on where it was cut off, for as long as something comes.
download_all() {
  local tries=0 had until
  read_uptime
  until=$((uptime + given[download_seconds]))
  while [ "$tries" -lt "$TRIES" ] && [ "$uptime" -lt "$until" ]; do
    had=$(bytes_of "$archive")
    download "$((until - uptime))"
    if [ "$code" -eq 0 ]; then return 0; fi
    if [ "$(bytes_of "$archive")" -gt "$had" ]; then tries=0; else tries=$((tries + 1)); fi
    # What the server does not go on with is begun anew: curl's codes of a refusal and of no ranges, and wget's of a refusal.
    case $code in 22 | 33 | 8) rm -f "$archive" ;; esac
    rest 1
    read_uptime
  done
  return 1
}

answer_if_kept
case ${given[address]} in https://* | http://*) ;; *) fail "${given[address]} is no web address" ;; esac
open_draft
archive=$DRAFT/package.tar.gz
prove_room_for_package
if [ "$(sha256_of "$archive")" != "${given[sha256]}" ]; then
  download_all || not_fetched no-way "${given[address]} could not be downloaded in the guest: ${said:-it took longer than ${given[download_seconds]} s}"
fi
store_draft
