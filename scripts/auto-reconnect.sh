#!/bin/bash
# auto-reconnect.sh [--once]
#
# Every 120 s connects to every host of configs/hosts.txt (one user@host[:port] a line; # begins a comment) and sees to
# it that its agent runs, so that a host which was rebooted goes on by itself. All at the same time: a dead
# host delays no other. Each change is one line in logs/auto-reconnect.log.
#
# --once makes one round, for cron, and exits 1 when a host was not well.
#
#   AISPOOL_RECONNECT_INTERVAL_S   other seconds between rounds
#   AISPOOL_REMOTE_WORKSPACE       the workspace on the hosts, by default ai-workspace in the home folder
#   AISPOOL_SSH_CONFIG             another ssh_config(5) than ~/.ssh/config

set -u
umask 077
scripts=$(dirname "$(readlink -f "$0")")
# shellcheck source=scripts/workspace.sh
. "$scripts/workspace.sh"

case ${1-} in
    '' | --once) once=${1-} ;;
    --help | -h) usage && exit 0 ;;
    *) misuse "no such option: $1" ;;
esac
need_workspace
remote_workspace
hosts=$workspace/configs/hosts.txt
log=$workspace/logs/auto-reconnect.log
interval_s=${AISPOOL_RECONNECT_INTERVAL_S:-120}
[ -r "$hosts" ] || fail "$hosts does not exist: write one user@host[:port] a line into it"

exec 9> "$workspace/logs/.auto-reconnect.lock"
flock --nonblock 9 || fail "another auto-reconnect.sh works on $workspace"

# The log itself remembers how a host was, so --once knows it too.
record() {
    local before
    before=$(grep -F " $1 " "$log" 2> /dev/null | tail -n 1)
    [ "${before#* "$1" }" = "$2" ] || printf '%s %s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$1" "$2" | tee -a "$log"
}

check_host() {
    local host=$1
    if ! parse_host "$host"; then
        record "$host" 'refused: not user@host[:port]'
        return 1
    fi
    run_ssh 45 -n -o ConnectTimeout=10 "$target" "sh $remote/scripts/start-agent.sh" > /dev/null 2>&1
    case $? in
        0) record "$host" 'up' && return ;;
        124 | 137 | 255) record "$host" 'down' ;;
        *) record "$host" "up, but without a working agent in $remote" ;;
    esac
    return 1
}

round() {
    local host pids=() pid status=0
    while read -r host _; do
        case $host in '' | '#'*) continue ;; esac
        check_host "$host" 9>&- &
        pids+=("$!")
    done < "$hosts"
    for pid in "${pids[@]}"; do
        wait "$pid" || status=1
    done
    return "$status"
}

# Job control gives each check its own process group, so that its ssh ends with it.
set -m
end_children() {
    local pid
    for pid in $(jobs -p); do
        kill -- "-$pid" 2> /dev/null
    done
    exit 0
}
trap end_children HUP INT TERM

if [ -n "$once" ]; then
    round
    exit
fi
while :; do
    sleep "$interval_s" 9>&- &
    pause=$!
    round
    wait "$pause"
done
