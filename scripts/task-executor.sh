#!/bin/sh
# task-executor.sh [--timeout S] FILE
#
# Drops FILE into the workspace, waits until the task is over, and shows its result: what it printed, or why it
# failed. Exit 0 only when it succeeded. Needs an agent that runs (start-agent.sh), but aispool only there.
#
#   --timeout S  wait no longer than S seconds, also for an agent; the task stays where it is then
#
#   task-executor.sh --timeout 3600 nightly.json      # from cron, where nobody presses Ctrl-C

set -u
umask 077
scripts=$(dirname "$(readlink -f "$0")")
# shellcheck source=scripts/workspace.sh
. "$scripts/workspace.sh"

timeout_s=''
case ${1-} in
    --help | -h) usage && exit 0 ;;
    --timeout)
        [ $# -ge 2 ] || misuse "--timeout needs a value"
        case $2 in '' | *[!0-9]* | ??????????*) misuse "--timeout must be whole seconds: '$2'" ;; esac
        timeout_s=$2
        shift 2
        ;;
    -?*) misuse "no such option: $1" ;;
esac
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

# Where the task is, each place before the one it moves to next, so that no move hides it.
find_task() {
    [ -e "$workspace/tasks/$name" ] || [ -e "$workspace/tasks/held/$name" ] ||
        find "$workspace/sessions" -mindepth 2 -maxdepth 4 -name "$name" 2> /dev/null | grep -q . ||
        find "$workspace/sessions" -mindepth 2 -maxdepth 3 -name task.json \
            -exec grep -lF "\"$name\"" {} + 2> /dev/null | grep -q .
}

# Seconds that no clock setting changes.
uptime_s() {
    read -r seconds _ < /proc/uptime && printf '%s\n' "${seconds%.*}"
}

give_up_s=''
[ -z "$timeout_s" ] || give_up_s=$(($(uptime_s) + timeout_s))
agent_runs || printf 'no agent runs here: start-agent.sh starts one\n' >&2
told='' missing=0
while :; do
    tell_why
    # looked for first: what is over by then is found below
    if find_task; then missing=0; else missing=$((missing + 1)); fi
    if [ -e "$workspace/rejected/$name.error.json" ]; then
        cat "$workspace/rejected/$name.error.json" >&2
        fail "the task was rejected: rejected/$name"
    fi
    result=$(find_result)
    [ -z "$result" ] || break
    # a task that is released, or given back, moves against the order: one look may miss it
    [ "$missing" -lt 3 ] ||
        fail "the task is nowhere any more: somebody removed or renamed tasks/$name, or its result is pruned"
    [ -z "$give_up_s" ] || [ "$(uptime_s)" -lt "$give_up_s" ] ||
        fail "the task is not over after $timeout_s s, and stays${told:+: $told}"
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
