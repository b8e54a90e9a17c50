#!/bin/sh
# start-agent.sh
#
# Sees to it that an agent works on this workspace, and lists the sessions that run: after a reboot, from
# `@reboot` in a crontab, or over ssh. An agent that runs already is left alone.
#
# The systemd unit is used where it is enabled, else the agent starts in the background with logs/agent.out.
# The workspace is AISPOOL_WORKSPACE, else the one this script lies in, else ~/ai-workspace.

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

use_unit() {
    [ "$(readlink -f "$workspace")" = "$(readlink -f "$HOME/ai-workspace")" ] &&
        systemctl --user is-enabled --quiet aispool-agent.service 2> /dev/null &&
        systemctl --user start aispool-agent.service
}

start_in_background() {
    aispool=$(find_aispool) || fail "aispool is not installed here: run quickstart of its checkout"
    setsid nohup "$aispool" --workspace "$workspace" agent --if-idle \
        < /dev/null >> "$workspace/logs/agent.out" 2>&1 &
    wait_for_agent "$!" || agent_runs || fail "the agent did not start: see $workspace/logs/agent.out"
}

need_workspace
agent_runs || use_unit || start_in_background
printf 'agent: running on %s\n' "$workspace"
list_sessions
