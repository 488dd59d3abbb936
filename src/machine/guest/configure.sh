#!/bin/bash
# Registers the runner, by programs and as a user that no job can reach, and gives the new configuration to the runner's user. The registration token
# comes by standard input.
# shellcheck disable=SC2016 # what the throw-away user and the runner's user run is expanded by their own shells
token=$(cat) && : >"$1/secret" # emptied and not removed: systemd opens it once more for the record
exec </dev/null
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

# Sets arguments to those of `configure`. Of the old registration stays where its jobs work, below the runner's directory, and whether it
# updates itself.
choose_arguments() {
  local work
  work=$(runner_field workFolder "$ASIDE/.runner")
  if ! [[ $work =~ ^[A-Za-z0-9_][A-Za-z0-9_./-]{0,200}$ ]] || [[ /$work/ == */../* ]]; then work=_work; fi
  arguments=(--unattended --replace --url "${given[url]}" --name "${given[name]}" --work "$work")
  # One that is drained meanwhile gets its labels from whoever resumes it.
  if [ -n "${given[labels]}" ] && ! is_drained; then arguments+=(--labels "${given[labels]}"); fi
  if [ -n "${given[group]}" ]; then arguments+=(--runnergroup "${given[group]}"); fi
  case $(runner_field disableUpdate "$ASIDE/.runner") in [Tt]rue) arguments+=(--disableupdate) ;; esac
}

# What the throw-away user runs: it prints `NAME BASE64` lines.
REGISTER='
  IFS= read -r ACTIONS_RUNNER_INPUT_TOKEN
  code=0
  ACTIONS_RUNNER_INPUT_TOKEN=$ACTIONS_RUNNER_INPUT_TOKEN ./bin/Runner.Listener configure "$@" >output 2>&1 </dev/null || code=$?
  tell() { printf "%s %s\n" "$1" "$(base64 -w 0)"; }
  printf "%s" "$code" | tell code
  tail -c 16384 output | tell output
  for file in .runner .credentials .credentials_rsaparams svc.sh; do
    if [ -f "$file" ]; then head -c 65536 "$file" | tell "$file"; fi
  done'

# Sets code and output; what a registration made is then in REGISTERED, whole or not at all.
register() {
  local name text
  code=1 output='it could not be started'
  rm -rf -- "$REGISTERED.new"
  own_folder "$REGISTERED.new"
  while read -r name text; do
    case $name in
      code) code=$(printf '%s' "$text" | base64 -d) ;;
      output) output=$(printf '%s' "$text" | base64 -d) ;;
      .runner | .credentials | .credentials_rsaparams | svc.sh) printf '%s' "$text" | base64 -d >"$REGISTERED.new/$name" ;;
    esac
  done < <(printf '%s\n' "$token" | throw_away "$REGISTER" "${arguments[@]}")
  if [ "$code" = 0 ] && is_of_this_name "$REGISTERED.new"; then
    sync -- "$REGISTERED.new"/.[!.]* "$REGISTERED.new"
    mv -T -- "$REGISTERED.new" "$REGISTERED"
  fi
}

# The same by the runner's own programs, as its own user: a job that left a process can see the token.
register_in_directory() {
  code=0
  drop_configuration # half a configuration makes config.sh refuse
  output=$(printf '%s\n' "$token" | USER_SECONDS=240 ask_user '
    PATH=$1; shift
    if [ -s .path ]; then IFS= read -r -n 4096 PATH <.path; fi
    export PATH LC_ALL=C.UTF-8
    IFS= read -r token
    ACTIONS_RUNNER_INPUT_TOKEN=$token ./config.sh "$@" </dev/null 2>&1' "$SYSTEM_PATH:/snap/bin" "${arguments[@]}") || code=$?
  if [ "$code" -ne 0 ]; then return 0; fi
  rm -rf -- "$REGISTERED.new"
  own_folder "$REGISTERED.new"
  take_configuration "$REGISTERED.new"
  if is_of_this_name "$REGISTERED.new"; then mv -T -- "$REGISTERED.new" "$REGISTERED"; fi
}

# is_of_this_name FOLDER: whether a folder of root's holds a whole configuration of this runner.
is_of_this_name() {
  [ -s "$1/.runner" ] && [ -s "$1/.credentials" ] && [ "$(runner_field agentName "$1/.runner")" = "${given[name]}" ]
}

# As config.sh names the unit, which for a long name holds a random number.
note_unit() {
  local name
  if [ ! -f "$REGISTERED/svc.sh" ]; then return 0; fi
  name=$(sed -n 's/^SVC_NAME="\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' "$REGISTERED/svc.sh" | head -n 1 | tr ' ' _)
  read_unit
  if ! is_loaded && [[ $name =~ ^actions\.runner\.[A-Za-z0-9:_.@-]+\.service$ ]]; then printf '%s\n' "$name" | keep "$STATE/unit"; fi
  ask_user 'if [ ! -e svc.sh ]; then base64 -d >svc.sh.runward && chmod 755 svc.sh.runward && mv -T svc.sh.runward svc.sh; fi' \
    < <(base64 -w 0 "$REGISTERED/svc.sh") || true # people use it; Runward does not
}

# The server's own refusal of the token. Its text is that of the runner's programs, which the configured way keeps out of a job's reach.
is_token_refused() {
  [[ $output =~ Http\ response\ code:\ (Unauthorized|Forbidden|NotFound)\ from\ .POST\ [^\ ]*/actions/runner-registration ]]
}

enter_directory
prove_drain_seen
id "$user" >/dev/null || fail "no user $user in the guest"
prove_room
own_state
prove_writable
if [ ! -e "$REGISTERED" ]; then # else by an earlier attempt: the set-aside removed an older one
  choose_arguments
  if registers_in_directory; then
    register_in_directory
  else
    unpack_package
    register
  fi
fi
if [ ! -e "$REGISTERED" ]; then
  output=${output//"$token"/[secret]}
  say exitCode "$code"
  if is_token_refused; then say reason token-refused; else say reason other; fi
  otherwise not-configured "$output"
fi
note_unit
give_configuration "$REGISTERED"
say kind configured
say agentId "$(runner_field agentId "$REGISTERED/.runner")"
