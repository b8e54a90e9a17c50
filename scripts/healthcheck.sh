#!/bin/sh
# healthcheck.sh
#
# Shows how this host is: the agent, active AI sessions, the queue, the ten largest processes of the tools, disk, and
# the last five lines of each log that changed in the last 60 minutes; kept in logs/healthcheck-YYYYMMDD-HHMMSS.log.
#
# `aispool health` does it where aispool is installed; elsewhere this script needs coreutils, ps and tmux only.

set -u
umask 077
scripts=$(dirname "$(readlink -f "$0")")
# shellcheck source=scripts/workspace.sh
. "$scripts/workspace.sh"

case ${1-} in
    '') ;;
    --help | -h) usage && exit 0 ;;
    *) misuse "takes no argument: $1" ;;
esac
need_workspace
if aispool=$(find_aispool); then
    exec "$aispool" --workspace "$workspace" health
fi

# What a tool printed may hold escape sequences: nothing but text, tabs and newlines reaches the terminal.
plain() {
    LC_ALL=C tr -d '\000-\010\013-\037\177' | LC_ALL=C sed 's/\xc2[\x80-\x9f]//g'
}

section() {
    printf '\n== %s\n' "$*"
}


queue() {
    folder=$workspace/$1
    shift
    find "$folder" -mindepth 1 -maxdepth 1 ! -name '.*' "$@" 2> /dev/null | wc -l
}

pane_pids() {
    tmux list-panes -a -F '#{pane_pid}' 2> /dev/null
    for socket in "$workspace/.aispool.tmux" "/tmp/tmux-$(id -u)"/aispool-*; do
        [ -S "$socket" ] && tmux -S "$socket" list-panes -a -F '#{pane_pid}' 2> /dev/null
    done
}

# The panes' processes and all below them; names without arguments, since arguments may hold prompts.
largest_processes() {
    ps -e -o pid= -o ppid= -o rss= -o pcpu= -o etime= -o comm= --sort=-rss | awk -v panes="$(pane_pids | tr '\n' ' ')" '
        BEGIN { n = split(panes, list, " "); for (i = 1; i <= n; i++) mine[list[i]] = 1
                printf "%8s %10s %6s %12s  %s\n", "PID", "RSS_KB", "CPU%", "ELAPSED", "COMMAND" }
        { pid[NR] = $1; parent[$1] = $2; line[NR] = sprintf("%8s %10s %6s %12s  %s", $1, $3, $4, $5, $6) }
        END {
            for (i = 1; i <= NR && shown < 10; i++)
                for (p = pid[i]; p > 1; p = parent[p])
                    if (p in mine) { print line[i]; shown++; break }
        }'
}

recent_logs() {
    find "$workspace/logs" -maxdepth 1 -type f -mmin -60 ! -name 'healthcheck-*' ! -name '.*' | LC_ALL=C sort |
        while IFS= read -r log; do
            printf -- '-- %s\n' "${log##*/}"
            tail -n 5 -- "$log"
        done
}

check() {
    printf 'Host %s, workspace %s, %s\n' "$(uname -n)" "$workspace" "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
    section 'Agent'
    if agent_runs; then echo running; else echo 'not running: start-agent.sh starts it'; fi
    section 'Active AI sessions'
    list_sessions | grep . || echo none
    section 'Queue'
    printf '%s waiting, %s held, %s running, %s finished, %s rejected\n' \
        "$(queue tasks -name '*.json')" "$(queue tasks/held -name '*.json')" "$(queue sessions -type d)" \
        "$(queue results -type d)" "$(queue rejected -name '*.error.json')"
    section 'Resource usage'
    largest_processes
    section 'Disk'
    df -h "$workspace"
    section 'Recent logs'
    recent_logs
}

log=$workspace/logs/healthcheck-$(date +%Y%m%d-%H%M%S).log
check | plain | tee "$workspace/logs/.healthcheck-$$"
mv -- "$workspace/logs/.healthcheck-$$" "$log" || fail "cannot write $log"
# A collector finds the latest ten by their second names, without a look at all that was ever logged.
recent=$workspace/logs/.healthchecks
mkdir -p "$recent" && ln -f -- "$log" "$recent/" &&
    find "$recent" -type f | LC_ALL=C sort | head -n -10 | while IFS= read -r old; do rm -f -- "$old"; done
printf '\nwritten to %s\n' "$log"
agent_runs
