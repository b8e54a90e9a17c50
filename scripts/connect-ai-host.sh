#!/bin/sh
# connect-ai-host.sh HOST [TOOL] [TASK_JSON]
#
# Connects to a host (user@host[:port], or a name of ~/.ssh/config) and sees to it that its agent runs, which takes
# up again what ran there before. TASK_JSON is dropped into its workspace; TOOL opens a session for you
# there. On a terminal it then attaches to that session (without TOOL: opens a shell), and connects
# again when the connection breaks.
#
# Five attempts, 30 s apart; exit 1 after the last. Keys only: it never asks for a password.
#
#   AISPOOL_CONNECT_ATTEMPTS   another number of attempts
#   AISPOOL_CONNECT_DELAY_S    other seconds between them
#   AISPOOL_REMOTE_WORKSPACE   the workspace on the host, by default ai-workspace in its home folder
#   AISPOOL_SSH_CONFIG         another ssh_config(5) than ~/.ssh/config
#
#   connect-ai-host.sh me@gpu-box:2222 qwen refactor.json

set -u
scripts=$(dirname "$(readlink -f "$0")")
# shellcheck source=scripts/workspace.sh
. "$scripts/workspace.sh"

case ${1-} in --help | -h) usage && exit 0 ;; esac
{ [ $# -ge 1 ] && [ $# -le 3 ]; } || misuse "give HOST, and at most TOOL and TASK_JSON"
host=$1 tool=${2-} task=${3-}
parse_host "$host" || misuse "HOST must be user@host[:port]: '$host'"
[ -z "$tool" ] || check_name TOOL "$tool"
[ -z "$task" ] || [ -s "$task" ] || fail "$task: no such file, or it is empty"
attempts=${AISPOOL_CONNECT_ATTEMPTS:-5}
delay_s=${AISPOOL_CONNECT_DELAY_S:-30}
remote_workspace

on_host() {
    run_ssh 60 -o ConnectTimeout=30 "$target" "$@"
}

# The first command tells whether the host is there: 255 is ssh's own failure, 124 and 137 are the time limit's.
connect() {
    attempt=1
    while :; do
        printf 'connecting to %s (attempt %s of %s)\n' "$host" "$attempt" "$attempts" >&2
        on_host "sh $remote/scripts/start-agent.sh"
        status=$?
        case $status in
            0) return ;;
            124 | 137 | 255) ;;
            *) fail "$host answers, but has no working agent in $remote: aispool fleet connect installs one, setup-ai-protocol.sh there the shell side" ;;
        esac
        [ "$attempt" -lt "$attempts" ] || fail "$host could not be reached in $attempts attempts"
        attempt=$((attempt + 1))
        sleep "$delay_s"
    done
}

# The size goes first, so that a connection which breaks on the way drops nothing.
send_task() {
    name=$(printf '%s' "${task##*/}" | LC_ALL=C tr -c 'A-Za-z0-9._-' _)
    case $name in [!A-Za-z0-9]*) name=task$name ;; esac
    on_host "sh $remote/scripts/drop-task.sh --bytes $(wc -c < "$task") - $name" < "$task" || fail "$task was not sent"
}

open_session() {
    session_id=${task##*/}
    session_id=$(printf '%.80s' "${session_id%.json}" | LC_ALL=C tr -c 'A-Za-z0-9._-' _)
    case $session_id in [!A-Za-z0-9]* | '') session_id=session$session_id ;; esac
    opened=$(on_host "sh $remote/scripts/init-ai-session.sh $tool $session_id") || fail "no session on $host"
    printf '%s\n' "$opened"
    session=$(printf '%s\n' "$opened" | head -n 1)
    check_name session "$session"
}

attach() {
    if [ -n "$tool" ]; then
        run_ssh 0 -o ConnectTimeout=30 -t "$target" "tmux attach -t =$session"
    else
        run_ssh 0 -o ConnectTimeout=30 -t "$target"
    fi
}

connect
[ -z "$task" ] || send_task
[ -z "$tool" ] || open_session
{ [ -t 0 ] && [ -t 1 ]; } || exit 0
until attach; do
    [ $? -eq 255 ] || exit 1
    connect
done
