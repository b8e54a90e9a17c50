# shellcheck shell=sh
# What the scripts beside this one share; it is sourced, never run, with `scripts` set to its folder.
# shellcheck disable=SC2154 # the sourcing script sets it

# The comment at the head of a script is its help: one text, never two.
usage() {
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
}

fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

misuse() {
    printf '%s: %s (try --help)\n' "${0##*/}" "$*" >&2
    exit 2
}

# AISPOOL_WORKSPACE, else the workspace this script was copied into, else ~/ai-workspace.
find_workspace() {
    if [ -n "${AISPOOL_WORKSPACE:-}" ]; then
        printf '%s\n' "$AISPOOL_WORKSPACE"
    elif [ -f "$scripts/../VERSION" ]; then
        (cd "$scripts/.." && pwd -P)
    else
        printf '%s\n' "${HOME:?is not set}/ai-workspace"
    fi
}

need_workspace() {
    workspace=$(find_workspace) || exit 1
    [ -f "$workspace/VERSION" ] ||
        fail "$workspace is no workspace: run setup-ai-protocol.sh, or name one in AISPOOL_WORKSPACE"
}

# Where `aispool` is, also for cron and ssh, whose PATH is short; fails when it is not installed.
find_aispool() {
    command -v aispool && return
    for place in "$HOME/.local/bin/aispool" "${XDG_DATA_HOME:-$HOME/.local/share}/aispool/venv/bin/aispool"; do
        [ -x "$place" ] && printf '%s\n' "$place" && return
    done
    return 1
}

# The protocol's rule for ids, which keeps a name harmless in a path, in a tmux target and in a shell.
check_name() {
    case $2 in
        [!A-Za-z0-9]* | *[!A-Za-z0-9._-]* | '') misuse "$1 must be letters, digits, dots, dashes or underscores: '$2'" ;;
    esac
    [ "${#2}" -le 100 ] || misuse "$1 is longer than 100 characters"
}

# Tells whether the agent of the folder $1 lives on this machine: as long as it does, it holds its lock. Looking that up
# in the kernel's list disturbs nobody. Of a workspace on a network file system the locks are in /var/tmp.
holds_lock() {
    for lock in "$1/lock" "/var/tmp/aispool-$(id -u)/$(printf '%s' "$(readlink -f "$1")" | sha256sum | cut -c 1-16).lock"; do
        [ -e "$lock" ] && grep -q " FLOCK .*:$(stat -c %i -- "$lock") " /proc/locks && return
    done
    return 1
}

agent_runs() {
    for folder in "$workspace"/sessions/.agent-*; do
        [ -d "$folder" ] && holds_lock "$folder" && return
    done
    return 1
}

# Waits until the agent that runs as process $1 holds its lock; fails when it ended, or took longer than 30 s.
wait_for_agent() {
    looks=0
    until agent_runs; do
        kill -0 "$1" 2> /dev/null && [ "$looks" -lt 300 ] || return 1
        looks=$((looks + 1))
        sleep 0.1
    done
}

# The tmux sessions of the person, then those of the agent, one a line; nothing when there are none.
list_sessions() {
    command -v tmux > /dev/null || return 0
    tmux list-sessions 2> /dev/null
    for socket in "$workspace/.aispool.tmux" "/tmp/tmux-$(id -u)"/aispool-*; do
        [ -S "$socket" ] && tmux -S "$socket" list-sessions 2> /dev/null
    done
    return 0
}

# Sets `target` and `port` from user@host[:port]; a leading dash would be an option of ssh.
parse_host() {
    target=${1%%:*}
    port=
    case $target in
        [!A-Za-z0-9_]* | *[!A-Za-z0-9@._-]* | *@*@* | *@ | *@[.-]* | '') return 1 ;;
    esac
    case $1 in
        *:*) port=${1#*:} ;;
        *) return 0 ;;
    esac
    case $port in
        *[!0-9]* | '' | ??????*) return 1 ;;
    esac
}

# run_ssh TIMEOUT_S SSH_ARGUMENT...: never asks, never hangs (0: no limit); AISPOOL_SSH_CONFIG names another
# ssh_config. --foreground lets ssh keep the terminal, and the process group by which it is ended.
run_ssh() {
    limit_s=$1
    shift
    timeout --foreground --kill-after=5 "$limit_s" ssh ${AISPOOL_SSH_CONFIG:+-F "$AISPOOL_SSH_CONFIG"} \
        -o BatchMode=yes -o ServerAliveInterval=15 -o ServerAliveCountMax=3 ${port:+-p "$port"} "$@"
}

# Where the workspace lies on other hosts: a path that needs no quoting there, relative to the home folder.
remote_workspace() {
    remote=${AISPOOL_REMOTE_WORKSPACE:-ai-workspace}
    case $remote in
        -* | *[!A-Za-z0-9._/-]*) fail "AISPOOL_REMOTE_WORKSPACE may hold letters, digits, and . _ / - only: '$remote'" ;;
    esac
}
