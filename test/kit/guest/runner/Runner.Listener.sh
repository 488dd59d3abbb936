# shellcheck shell=bash
# Stand-in for Runner.Listener: configure, remove, run. Its files, words and exit codes are the real program's;
# its protocol is the make-believe GitHub's.

export LC_ALL=C TZ=UTC
umask 022
trap '' PIPE

VERSION=2.336.0
TERMINATED=1
RETRYABLE=2
SESSION_CONFLICT_CODE=5
BOM=$'\xef\xbb\xbf'

# shellcheck source=settings.sh
. "${0%/*}/settings.sh"
# shellcheck source=github.sh
. "${0%/*}/github.sh"

root=${0%/*/stand-in/*}
cd "$root" || exit "$TERMINATED"

# A socket that nothing comes from: waiting on it needs no process.
exec {nothing}<>/dev/udp/127.0.0.1/9

session=
worker=
job=

main() {
  if is_in --version "$@"; then
    echo "$VERSION"
    exit 0
  fi
  case ${1:-} in
    configure) configure "${@:2}" ;;
    remove) remove "${@:2}" ;;
    run) run ;;
    *)
      echo "Runner.Listener: unknown command ${1:-}"
      exit "$TERMINATED"
      ;;
  esac
}

fail() {
  echo "$1"
  exit "$TERMINATED"
}

# --- configure ---------------------------------------------------------------------------------------------------------

VALUES=(url token pat name runnergroup labels work auth monitorsocketaddress)
FLAGS=(unattended replace ephemeral disableupdate no-default-labels runasservice generateServiceConfig local)
declare -A input

# Options from the command line, and from the environment, where a token leaves no trace in a list of processes.
read_input() {
  local command=$1 name variable unknown=()
  shift
  for name in "${VALUES[@]}" "${FLAGS[@]}"; do
    variable=ACTIONS_RUNNER_INPUT_${name^^}
    variable=${variable//-/_}
    if [ -n "${!variable:-}" ]; then input[$name]=${!variable}; fi
    unset "$variable"
  done
  while [ $# -gt 0 ]; do
    name=${1#--}
    if is_in "$name" "${VALUES[@]}"; then
      input[$name]=${2:-}
      shift
    elif is_in "$name" "${FLAGS[@]}"; then
      input[$name]=true
    else
      unknown+=("'$1'")
    fi
    shift
  done
  if [ ${#unknown[@]} -gt 0 ]; then echo "Unrecognized command-line input arguments for command $command: ${unknown[*]}."; fi
}

is_in() {
  local word=$1 candidate
  shift
  for candidate in "$@"; do if [ "$candidate" = "$word" ]; then return 0; fi; done
  return 1
}

configure() {
  local name work labels pattern service_token agent_id credential replaced
  read_input configure "$@"
  for name in .runner .runner_migrated $CONFIGURED_BY; do
    if [ -f "$name" ]; then
      fail "Cannot configure the runner because it is already configured. To reconfigure the runner, run 'config.cmd remove' or './config.sh remove' first."
    fi
  done
  for name in url token; do
    if [ -z "${input[$name]:-}" ]; then fail "Invalid configuration provided for $name. Terminating unattended configuration."; fi
  done
  pattern='^(https?://[^/]+)/(.+)$'
  if ! [[ ${input[url]} =~ $pattern ]]; then fail 'Invalid configuration provided for url. Terminating unattended configuration.'; fi
  origin=${BASH_REMATCH[1]}
  name=${input[name]:-$HOSTNAME}
  work=${input[work]:-_work}

  exchange_token
  service_token=$value
  echo '√ Connected to GitHub'
  echo

  # The real program makes its key here, so that a full disk ends it before GitHub knows of a new one.
  (umask 077 && printf '%s\n' "$BOM" >.credentials_rsaparams) 2>/dev/null || fail 'An error occurred: No space left on device'
  register "$name"
  echo "$replaced"
  wait_for "$CONFIGURE"
  save_credentials "$agent_id" "$credential"
  echo '√ Runner connection is good'
  echo
  save_settings "$agent_id" "$name" "$work"
  write_service_script "$name"
  echo '√ Settings Saved.'
}

# Sets value to the token of the service.
exchange_token() {
  local address=/actions/runner-registration tries=0
  quoted "${input[url]}"
  while :; do
    request POST "$address" "RemoteAuth ${input[token]}" "{\"url\":$value,\"runner_event\":\"register\"}"
    if [ "$status" -eq 200 ]; then break; fi
    tries=$((tries + 1))
    if [ "$status" -eq 404 ] || [ "$tries" -ge 3 ]; then
      fail "Http response code: $(status_name "$status") from 'POST $origin/api/v3$address' (Request Id: 0000:0000:0000)"
    fi
    wait_for "$RELAUNCH"
  done
  field token "$body"
}

status_name() {
  case $1 in
    401) echo Unauthorized ;;
    403) echo Forbidden ;;
    404) echo NotFound ;;
    *) echo InternalServerError ;;
  esac
}

# Sets agent_id, credential and replaced.
register() {
  local content label labels=() list=''
  IFS=, read -r -a labels <<<"${input[labels]:-}"
  for label in "${labels[@]}"; do
    quoted "$label"
    list+="${list:+,}$value"
  done
  quoted "$1"
  content="{\"name\":$value,\"labels\":[$list],\"os\":\"Linux\",\"architecture\":\"X64\",\"version\":\"$VERSION\""
  request POST /_service/runners "Bearer $service_token" "$content,\"replace\":${input[replace]:-false}}"
  case $status in
    201) ;;
    409) fail "A runner exists with the same name $1." ;;
    *) fail "An error occurred: $body" ;;
  esac
  replaced='√ Runner successfully added'
  if [ "${input[replace]:-}" = true ]; then replaced='√ Successfully replaced the runner'; fi
  field agentId "$body"
  agent_id=$value
  field credential "$body"
  credential=$value
}

save_credentials() {
  (umask 077 && printf '%s{\n  "d": "%s"\n}\n' "$BOM" "$2" >.credentials_rsaparams)
  printf '%s{\n  "scheme": "OAuth",\n  "data": {\n    "clientId": "%s",\n    "authorizationUrl": "%s",\n    "requireFipsCryptography": "True"\n  }\n}\n' \
    "$BOM" "$1" "$origin/_services/vstoken" >.credentials
}

save_settings() {
  local name work
  quoted "$2" && name=$value
  quoted "$3" && work=$value
  printf '%s{\n  "agentId": %s,\n  "agentName": %s,\n  "poolId": 1,\n  "poolName": "Default",\n  "serverUrl": "%s",\n  "gitHubUrl": "%s",\n  "workFolder": %s\n}\n' \
    "$BOM" "$1" "$name" "$origin" "${input[url]}" "$work" >.runner
}

# The unit's name has 150 characters at most; what is cut off is told apart by a random number.
write_service_script() {
  local name=$1 path=${input[url]#*://*/} room
  path=${path//[^0-9a-zA-Z._-]/-}
  if [ $((${#path} + ${#name} + 24)) -gt 150 ]; then
    path=${path:0:70}
    room=$((150 - 24 - 5 - ${#path}))
    name=${name:0:room}-$((1000 + RANDOM % 8999))
  fi
  sed "s|{{SvcNameVar}}|actions.runner.$path.$name.service|; s|{{SvcDescription}}|GitHub Actions Runner ($path.$name)|" \
    bin/systemd.svc.sh.template >svc.sh
  chmod 755 svc.sh
}

# --- remove ------------------------------------------------------------------------------------------------------------

remove() {
  read_input remove "$@"
  if [ "${input[local]:-}" != true ]; then
    if [ -f .service ]; then
      echo 'Failed: Removing service'
      fail 'Uninstall service first'
    fi
    if [ -f .runner ]; then fail 'The stand-in removes nothing on the server: use --local.'; fi
    echo 'Cannot connect to server, because config files are missing. Skipping removing runner from the server.'
  fi
  remove_files .credentials .credentials .credentials_migrated .credentials_rsaparams
  remove_files .runner .runner .runner_migrated
}

# remove_files NAME FILE…
remove_files() {
  if [ -f "$2" ]; then
    rm -f "${@:2}"
    echo "√ Removed $1"
  else
    echo "Does not exist. Skipping Removing $1"
  fi
}

# --- run ---------------------------------------------------------------------------------------------------------------

run() {
  read_configuration
  mkdir -p _work _diag 2>/dev/null
  if [ ! -w _work ]; then fail "Fail to create and validate runner's work directory '$root/_work'."; fi
  printf -v log '_diag/Runner_%(%Y%m%d-%H%M%S)T-utc.log' -1
  trace "Version: $VERSION"

  create_session
  echo
  echo "Current runner version: '$VERSION'"
  say 'Listening for Jobs'
  listen
}

say() {
  printf '%(%F %TZ)T: %s\n' -1 "$1"
}

trace() {
  printf '[%(%F %TZ)T INFO Listener] %s\n' -1 "$1" >>"$log"
}

# Sets agent_id, origin and credential. A damaged file ends like any other exception: try again.
read_configuration() {
  local settings='' credentials='' key=''
  if [ ! -f .runner ]; then fail 'An error occurred: Not configured. Run config.(sh/cmd) to configure the runner.'; fi
  { read -r -d '' settings <.runner; read -r -d '' credentials <.credentials; read -r -d '' key <.credentials_rsaparams; } 2>/dev/null
  field agentId "$settings" && agent_id=$value
  field gitHubUrl "$settings" && origin=$value
  field clientId "$credentials"
  if [ -z "$agent_id" ] || [ -z "$origin" ] || [ -z "$value" ]; then damaged 'Unexpected character encountered while parsing value.'; fi
  field d "$key" && credential=$value
  if [ -z "$credential" ]; then damaged 'CryptographicException: the key is not valid.'; fi
  origin=${origin%"/${origin#*://*/}"}
}

damaged() {
  echo "An error occurred: $1"
  exit "$RETRYABLE"
}

# Sets session, or ends the program.
create_session() {
  local waited=0 content now said=''
  session=
  while :; do
    printf -v now '%(%FT%TZ)T' -1
    quoted "$credential"
    content="{\"agentId\":$agent_id,\"credential\":$value,\"clientTime\":\"$now\"}"
    request POST /_service/sessions '' "$content"
    case $status in
      201)
        field sessionId "$body"
        session=$value
        trap stop INT TERM
        if [ -n "$said" ]; then say 'Runner reconnected.'; fi
        echo '√ Connected to GitHub'
        return
        ;;
      401)
        fail 'Failed to create a session. The runner registration has been deleted from the server, please re-configure. Runner registrations are automatically deleted for runners that have not connected to the service recently.'
        ;;
      409)
        say 'A session for this runner already exists.'
        if [ "$waited" -ge "$SESSION_CONFLICT" ]; then
          say "Stop retry on SessionConflictException after retried for $SESSION_CONFLICT seconds."
          echo 'Failed to create session. A session for this runner already exists.'
          exit "$SESSION_CONFLICT_CODE"
        fi
        ;;
      400)
        trace "VssOAuthTokenRequestException: $body"
        echo "The local machine's clock may be out of sync with the server time by more than five minutes. Please sync your clock with your domain or internet time and try again."
        if [ "$waited" -ge "$CLOCK_RETRY" ]; then fail "Stopped retrying OAuth token request exception after $CLOCK_RETRY seconds."; fi
        ;;
      *)
        if [ -z "$said" ]; then say "Runner connect error: status $status. Retrying until reconnected."; fi
        said=yes
        ;;
    esac
    wait_for "$SESSION_RETRY"
    waited=$((waited + SESSION_RETRY))
  done
}

# A job that has ended is reported when the poll that is under way comes back.
listen() {
  local said=''
  while :; do
    request POST "/_service/sessions/$session/poll" '' '{}'
    case $status in
      200)
        if [ -n "$said" ]; then say 'Runner reconnected.'; fi
        said=''
        take_job
        ;;
      404)
        echo 'The runner no longer exists on the server. Cleaning up local configuration.'
        rm -f .runner .runner_migrated .credentials .credentials_migrated .credentials_rsaparams
        exit 0
        ;;
      401 | 409) create_session ;;
      *)
        if [ -z "$said" ]; then say "Runner connect error: status $status. Retrying until reconnected."; fi
        said=yes
        wait_for "$SESSION_RETRY"
        ;;
    esac
    if [ -n "$worker" ] && ! kill -0 "$worker" 2>/dev/null; then finish_job; fi
  done
}

take_job() {
  field type "$body"
  if [ "$value" != job ]; then return; fi
  field jobId "$body" && job=$value
  field name "$body" && job_name=$value
  field seconds "$body"
  say "Running job: $job_name"
  JOB_SECONDS=$value ./bin/Runner.Worker spawnclient 3 4 </dev/null >/dev/null 2>&1 &
  worker=$!
}

finish_job() {
  local code=0 result=Failed
  wait "$worker" || code=$?
  worker=
  case $code in
    100) result=Succeeded ;;
    143) result=Canceled ;; # by SIGTERM
  esac
  say "Job $job_name completed with result: $result"
  request POST "/_service/jobs/$job/finish" '' "{\"result\":\"$result\"}"
}

# Waits for a worker that it cancels, however long that takes; the listener's own end comes by SIGKILL then.
stop() {
  trap '' INT TERM
  say 'Exiting...'
  if [ -n "$worker" ]; then
    kill -TERM "$worker" 2>/dev/null
    finish_job
  fi
  request DELETE "/_service/sessions/$session" '' ''
  exit 0
}

# wait_for SECONDS, by no clock. A trap that runs inside a `read -t` is cut off when its time is over: here the signal simply ends the program.
wait_for() {
  trap - INT TERM
  read -r -t "$1" -u "$nothing"
  if [ -n "$session" ]; then trap stop INT TERM; fi
}

main "$@"
