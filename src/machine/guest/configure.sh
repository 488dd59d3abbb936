#!/bin/bash
# Runs config.sh as the runner's user. The registration token comes by standard input and reaches config.sh by its environment.
token=$(cat) && : >"$1/secret" # emptied and not removed: systemd opens it once more for the record
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

# env.sh writes the PATH of this very call into .path, where jobs take theirs from: the one from before is kept.
path_for_jobs() {
  local file path=
  for file in "$ASIDE/path" .path; do
    if [ -s "$file" ]; then IFS= read -r path <"$file" || true; fi
  done
  printf '%s\n' "${path:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin}"
}

run_config() {
  local arguments=(--unattended --replace --url "${given[url]}" --name "${given[name]}" --work _work)
  if [ -n "${given[labels]}" ]; then arguments+=(--labels "${given[labels]}"); fi
  if [ -n "${given[group]}" ]; then arguments+=(--runnergroup "${given[group]}"); fi
  ACTIONS_RUNNER_INPUT_TOKEN=$token runuser -u "$user" -- \
    env "HOME=$(home_of_user)" "USER=$user" "LOGNAME=$user" "PATH=$(path_for_jobs)" LC_ALL=C.UTF-8 ./config.sh "${arguments[@]}" </dev/null 2>&1
}

answer_configured() {
  say kind configured
  say agentId "$(runner_field agentId .runner)"
}

is_of_this_name() {
  is_configured && [ "$(runner_field agentName .runner)" = "${given[name]}" ]
}

# Sets code, and output without the token.
configures() {
  code=0
  output=$(run_config) || code=$?
  output=${output//"$token"/[secret]}
  [ "$code" -eq 0 ] && is_of_this_name
}

# config.sh may have refused on a file that only it knows: where no known configuration is left, hidden files of unknown names are moved aside.
# Those in a user's home are that user's.
set_strange_aside() {
  local file files
  files=$(strange_files)
  if [ -z "$files" ] || [ ! -e "$ASIDE" ] || [ -n "$(configuration_files)" ] || [ "$(home_of_user)" -ef . ]; then return 1; fi
  own_folder "$ASIDE/strange"
  while IFS= read -r file; do mv -fT -- "$file" "$ASIDE/strange/$file"; done <<<"$files"
}

enter_directory
id "$user" >/dev/null || fail "no user $user in the guest"

if [ -e "$ASIDE" ]; then
  if is_of_this_name; then # by an earlier attempt: the set-aside emptied the directory
    answer_configured
    exit 0
  fi
  if ! is_configured; then move_leftovers; fi # half a configuration makes config.sh refuse
fi

prove_room
own_by_user
if configures || { set_strange_aside && configures; }; then
  answer_configured
else
  move_strange_back
  say exitCode "$code"
  otherwise not-configured "$output"
fi
