#!/bin/bash
# The same six steps as a straight script takes them: one remedy, no look at jobs, fixed sleeps. What Runward is measured against.
# Usage: six-steps.sh MULTIPASS VM API_URL SERVER_URL SCOPE RUNNER DIRECTORY    (GH_TOKEN in the environment)
set -euo pipefail
multipass=$1 vm=$2 api=$3 server=$4 scope=$5 runner=$6 directory=$7

in_guest() {
  "$multipass" exec "$vm" -- sudo bash -c "cd '$directory' && $1"
}

api() { # METHOD PATH
  curl --silent --fail --request "$1" --header "Authorization: Bearer $GH_TOKEN" "$api/repos/$scope/actions/runners$2"
}

in_guest 'timedatectl set-ntp true; systemctl restart systemd-timesyncd'
sleep 3
token=$(api POST /registration-token | sed -n 's/.*"token": *"\([^"]*\)".*/\1/p')
in_guest './svc.sh stop; ./svc.sh uninstall; rm -f .runner .credentials .credentials_rsaparams'
sleep 3
in_guest "runuser -u github-runner -- ./config.sh --unattended --replace --url '$server/$scope' --token '$token' --name '$runner'"
sleep 5
in_guest './svc.sh install github-runner && ./svc.sh start'
sleep 10
api GET "?name=$runner" | grep -q '"status": *"online"'
