#!/bin/bash
# Runs config.sh as the runner's user. The registration token comes by standard input and reaches config.sh by its environment.
token=$(cat) && : >"$1/secret" # emptied and not removed: systemd opens it once more for the record
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

# Files that config.sh writes or the listener changes, by name: a step that runs over _work never ends on a large one.
own_by_user() {
  local name names=()
  for name in .env .path .runner .runner_* .credentials .credentials_* .service svc.sh runsvc.sh _work; do
    if [ -e "$name" ]; then names+=("$name"); fi
  done
  if ! runuser -u "$user" -- test -w .; then names+=(.); fi
  if [ ${#names[@]} -gt 0 ]; then find "${names[@]}" -maxdepth 0 ! -user "$user" -exec chown -h "$user:" {} +; fi
  if [ -d _diag ]; then find _diag -maxdepth 1 ! -user "$user" -exec chown -h "$user:" {} +; fi
}

# env.sh writes the PATH of this very call into .path, where jobs take theirs from: the one from before is kept.
path_for_jobs() {
  local path=
  if [ -f .path ]; then IFS= read -r path <.path || true; fi
  printf '%s\n' "${path:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin}"
}

run_config() {
  local arguments=(--unattended --replace --url "${given[url]}" --name "${given[name]}" --work _work) account
  if [ -n "${given[labels]}" ]; then arguments+=(--labels "${given[labels]}"); fi
  if [ -n "${given[group]}" ]; then arguments+=(--runnergroup "${given[group]}"); fi
  account=$(getent passwd "$user" | cut -d: -f6)
  ACTIONS_RUNNER_INPUT_TOKEN=$token runuser -u "$user" -- \
    env "HOME=$account" "USER=$user" "LOGNAME=$user" "PATH=$(path_for_jobs)" LC_ALL=C.UTF-8 ./config.sh "${arguments[@]}" </dev/null 2>&1
}

answer_configured() {
  say kind configured
  say agentId "$(runner_field agentId .runner)"
}

is_of_this_name() {
  is_configured && [ "$(runner_field agentName .runner)" = "${given[name]}" ]
}

enter_directory
user=${given[user]}
id "$user" >/dev/null || fail "no user $user in the guest"

if [ -e "$ASIDE" ]; then
  if is_of_this_name; then # by an earlier attempt: the set-aside emptied the directory
    answer_configured
    exit 0
  fi
  if ! is_configured; then move_leftovers; fi # half a configuration makes config.sh refuse
fi

own_by_user
code=0
output=$(run_config) || code=$?
output=${output//"$token"/[secret]}
if [ "$code" -eq 0 ] && is_of_this_name; then
  answer_configured
else
  say exitCode "$code"
  otherwise not-configured "$output"
fi
