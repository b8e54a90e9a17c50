#!/bin/bash
# auto-reconnect.sh [--once]
#
# Keeps the hosts of the fleet connected, each in its own time: one that does not answer is tried five times with growing
# pauses, then ever more slowly, for ever, and delays no other. When it answers (again), its agent is started
# unless one runs, so that a host which was rebooted goes on by itself, and what it has is collected.
#
# Where aispool is installed this is `aispool collector --start-agents`: hosts of configs/hosts.toml and
# configs/hosts.txt, logs/collector.log; when a collector works already it says how the hosts are and ends.
#
# Where there is only this script it does the connecting and starting, for configs/hosts.txt (one user@host[:port] a
# line; # begins a comment), and collects nothing. Each change is one line in logs/auto-reconnect.log.
#
# --once makes one round, for cron, and exits 1 when a host did not answer (without aispool: or has no agent that runs).
#
#   AISPOOL_RECONNECT_INTERVAL_S   seconds between two looks at a host that answers, without aispool (120)
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
hosts=$workspace/configs/hosts.txt
[ -r "$hosts" ] || [ -r "$workspace/configs/hosts.toml" ] ||
    fail "$hosts does not exist: write one user@host[:port] a line into it"

if aispool=$(find_aispool); then
    if holds_lock "$workspace/fleet/.collector"; then
        printf 'a collector works on %s already, and reconnects:\n' "$workspace"
        exec "$aispool" --workspace "$workspace" fleet status
    fi
    exec "$aispool" --workspace "$workspace" collector --start-agents ${once:+"$once"}
fi

# ------------------------------------------------------------------------------------------- without aispool

[ -r "$hosts" ] || fail "without aispool only $hosts is read, and it does not exist"
remote_workspace
log=$workspace/logs/auto-reconnect.log
interval_s=${AISPOOL_RECONNECT_INTERVAL_S:-120}

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

# Sets `delay_s` for a host that failed $1 times in a row: 2, 4, 8, 16 s, then 60, 120 … 600 s, a tenth more or less, so
# that many hosts do not come back at once.
next_delay() {
    local power=$(($1 - 1)) first=2
    if [ "$1" -ge 5 ]; then
        power=$(($1 < 9 ? $1 - 5 : 4)) first=60
    fi
    delay_s=$((first << power))
    [ "$delay_s" -le 600 ] || delay_s=600
    delay_s=$((delay_s * (900 + RANDOM % 201)))
    delay_s=$((delay_s / 1000)).$(printf %03d $((delay_s % 1000)))
}

watch_host() {
    local failures=0 delay_s
    while :; do
        if check_host "$1"; then
            failures=0 delay_s=$interval_s
        else
            failures=$((failures + 1))
            next_delay "$failures"
        fi
        sleep "$delay_s"
    done
}

listed_hosts() {
    local host
    while read -r host _; do
        case $host in '' | '#'*) ;; *) printf '%s\n' "$host" ;; esac
    done < "$hosts" | sort -u
}

if [ -n "$once" ]; then
    pids=() status=0
    mapfile -t wanted < <(listed_hosts)
    for host in "${wanted[@]}"; do
        check_host "$host" 9>&- &
        pids+=("$!")
    done
    for pid in "${pids[@]}"; do
        wait "$pid" || status=1
    done
    exit "$status"
fi

# Job control gives each watcher its own process group, so that its ssh ends with it.
set -m
declare -A watchers=()
end_watchers() {
    local pid
    for pid in $(jobs -p); do
        kill -- "-$pid" 2> /dev/null
    done
    exit 0
}
trap end_watchers HUP INT TERM

# The list may change at any time.
while :; do
    mapfile -t wanted < <(listed_hosts)
    for host in "${!watchers[@]}"; do
        if ! printf '%s\n' "${wanted[@]}" | grep -qxF -- "$host"; then
            kill -- "-${watchers[$host]}" 2> /dev/null
            unset "watchers[$host]"
        fi
    done
    for host in "${wanted[@]}"; do
        if [ -z "${watchers[$host]-}" ]; then
            watch_host "$host" 9>&- &
            watchers[$host]=$!
        fi
    done
    sleep "$interval_s" 9>&- &
    wait "$!"
done
