#!/bin/sh
# task-executor.sh FILE
#
# Drops FILE into the workspace, waits until the task is over, and shows its result: what it printed, or why it
# failed. Exit 0 only when it succeeded. Needs an agent that runs (start-agent.sh), but aispool only there.

set -u
umask 077
scripts=$(dirname "$(readlink -f "$0")")
# shellcheck source=scripts/workspace.sh
. "$scripts/workspace.sh"

case ${1-} in --help | -h) usage && exit 0 ;; esac
[ $# -eq 1 ] || misuse "give one FILE"
need_workspace
export AISPOOL_WORKSPACE="$workspace"

# `source_name` is how a result tells which dropped file it is of, so this one gets a name nobody else has.
stem=${1##*/}
stem=$(printf '%.60s' "${stem%.json}" | LC_ALL=C tr -c 'A-Za-z0-9._-' _)
case $stem in [!A-Za-z0-9]*) stem=task$stem ;; esac
mark=$(mktemp) || exit 1
trap 'rm -f "$mark"' EXIT
trap 'exit 130' HUP INT TERM
name=$(sh "$scripts/drop-task.sh" "$1" "$stem-$(date +%Y%m%dT%H%M%S)-$$.json") || exit
printf 'dropped: tasks/%s\n' "$name" >&2

# The agent's one line about a task that waits, each time it changes.
tell_why() {
    why=$(cat "$workspace/tasks/${name%.json}.why" 2> /dev/null)
    [ -z "$why" ] || [ "$why" = "$told" ] || printf '%s\n' "$why" >&2
    told=$why
}

# Prints the result's file, once there is one.
find_result() {
    find "$workspace/results" -mindepth 2 -maxdepth 2 -name result.json -newer "$mark" \
        -exec grep -lF "\"$name\"" {} + 2> /dev/null | head -n 1
}

agent_runs || printf 'no agent runs here: start-agent.sh starts one\n' >&2
told=''
while :; do
    tell_why
    if [ -e "$workspace/rejected/$name.error.json" ]; then
        cat "$workspace/rejected/$name.error.json" >&2
        fail "the task was rejected: rejected/$name"
    fi
    result=$(find_result)
    [ -z "$result" ] || break
    sleep 0.5
done

folder=${result%/result.json}
printf 'result: %s\n' "$folder" >&2
if aispool=$(find_aispool); then
    "$aispool" --workspace "$workspace" show "${folder##*/}" >&2
fi
last=$(find "$folder/attempts" -mindepth 1 -maxdepth 1 -type d | LC_ALL=C sort | tail -n 1)
[ ! -f "$last/stdout" ] || cat "$last/stdout"
[ ! -f "$last/stderr" ] || cat "$last/stderr" >&2
grep -q '"state": *"succeeded"' "$result"
