#!/bin/sh
# init-ai-session.sh TOOL TASK_ID
#
# Opens a tmux session ai-work-YYYYmmdd-HHMMSS for a person: a shell in the workspace with the tool's
# environment, and everything it shows appended to logs/TOOL-TASK_ID.log. Prints the session's name and how to attach.
#
# The environment is configs/env/TOOL.env (KEY=VALUE lines, read as data and never run; only you may be able to
# read it) and the virtual environment ~/TOOL-env, each where it exists.
#
#   init-ai-session.sh qwen refactor-42

set -u
umask 077
script=$(readlink -f "$0")
scripts=$(dirname "$script")
# shellcheck source=scripts/workspace.sh
. "$scripts/workspace.sh"

# As the agent reads the file: KEY=VALUE, the value as it stands or in one pair of quotes. A line is never shown,
# since it may be a secret.
load_environment() {
    number=0 return=$(printf '\r')
    while read -r line || [ -n "$line" ]; do
        number=$((number + 1))
        line=${line%"$return"} line=${line#export }
        case $line in '' | '#'*) continue ;; esac
        key=${line%%=*} value=${line#*=}
        case $key in
            "$line" | [!A-Za-z_]* | *[!A-Za-z0-9_]*) fail "$1, line $number: write KEY=VALUE" ;;
        esac
        case $value in
            '"'*'"') value=${value#?} value=${value%?} ;;
            "'"*"'") value=${value#?} value=${value%?} ;;
        esac
        export "$key=$value"
    done < "$1"
}

# Runs inside the pane, so that no value of the environment is ever in a command line.
become_shell() {
    file=$workspace/configs/env/$tool.env
    [ -r "$file" ] && load_environment "$file"
    [ -n "${GEMINI_API_KEY:-}" ] || [ -z "${GEMINI_KEY:-}" ] || export GEMINI_API_KEY="$GEMINI_KEY"
    if [ -d "$HOME/$tool-env/bin" ]; then
        export VIRTUAL_ENV="$HOME/$tool-env" PATH="$HOME/$tool-env/bin:$PATH"
    fi
    export AISPOOL_WORKSPACE="$workspace" AISPOOL_TOOL="$tool" AISPOOL_TASK_ID="$task_id"
    cd "$workspace" || exit 1
    exec "${SHELL:-/bin/sh}"
}

# pipe-pane runs a shell and expands # and % before, hence three kinds of quotes.
quoted_for_pipe() {
    printf '%s\n' "$1" | sed "s/'/'\\\\''/g; s/#/##/g; s/%/%%/g; s/^/'/; s/\$/'/"
}

open_session() {
    session=ai-work-$(date +%Y%m%d-%H%M%S)
    tmux new-session -d -s "$session" \
        env "AISPOOL_WORKSPACE=$workspace" sh "$script" --inside "$tool" "$task_id" \; \
        pipe-pane -t "=$session:" "exec cat >> $(quoted_for_pipe "$log")"
}

case ${1-} in
    --help | -h) usage && exit 0 ;;
    --inside) inside=yes && shift ;;
    *) inside=no ;;
esac
[ $# -eq 2 ] || misuse "give TOOL and TASK_ID"
tool=$1 task_id=$2
check_name TOOL "$tool"
check_name TASK_ID "$task_id"
need_workspace
[ "$inside" = no ] || become_shell

command -v tmux > /dev/null || fail "tmux is missing: sudo apt-get install tmux"
file=$workspace/configs/env/$tool.env
if [ -e "$file" ]; then
    case $(stat -L -c %a -- "$file") in
        *00) (load_environment "$file") || exit 1 ;;
        *) fail "$file holds secrets that others can read: chmod 600 $file" ;;
    esac
fi
log=$workspace/logs/$tool-$task_id.log
: >> "$log" || fail "cannot write $log"
until open_session; do
    tmux has-session -t "=$session" 2> /dev/null || fail "tmux did not start the session"
    sleep 1 # the name of this second is taken
done
printf '%s\n' "$session" "attach: tmux attach -t =$session" "log: $log"
