# shellcheck shell=bash disable=SC2034,SC2154
# Speaks to the make-believe GitHub with nothing but bash's own words: a subshell would be a second process of the listener's name.

# request METHOD PATH AUTHORIZATION BODY: sets status (0 where there was no answer) and body.
request() {
  local host=${origin#*://} port=80 socket answer=''
  status=0 body=''
  if [[ $host == *:* ]]; then port=${host##*:} host=${host%:*}; fi
  { exec {socket}<>"/dev/tcp/$host/$port"; } 2>/dev/null || return 0
  printf '%s /api/v3%s HTTP/1.0\r\nHost: %s:%s\r\nUser-Agent: GitHubActionsRunner-linux-x64\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s' \
    "$1" "$2" "$host" "$port" "${#4}" "${3:+Authorization: $3$'\r\n'}" "$4" >&"$socket"
  IFS= read -r -d '' -u "$socket" answer
  exec {socket}>&-
  if [[ $answer =~ ^HTTP/1\.[01]\ ([0-9]+) ]]; then
    status=${BASH_REMATCH[1]}
    body=${answer#*$'\r\n\r\n'}
  fi
}

# field NAME JSON: sets value to a plain field of a JSON text, or to nothing.
field() {
  value=''
  local pattern="\"$1\":[[:space:]]*\"?([^\",}]*)"
  if [[ $2 =~ $pattern ]]; then value=${BASH_REMATCH[1]}; fi
}

# quoted TEXT: sets value to the text as JSON.
quoted() {
  value=${1//\\/\\\\}
  value="\"${value//\"/\\\"}\""
}
