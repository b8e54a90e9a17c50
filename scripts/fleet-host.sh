#!/usr/bin/env bash
# fleet-host.sh: what `aispool fleet connect` runs on a host, sent there over ssh behind packages.sh; not run by hand.
#
#   probe WORKSPACE                  say what is here, one `name value` a line
#   packages PACKAGE...              install them, as root or by a sudo that asks nothing
#   receive VENV                     make the folder for the wheels, and print it
#   install VENV WHEEL [--offline]   make the environment VENV of what lies in that folder, and switch to it
#   serve WORKSPACE VENV             bring the workspace and the units up to date, and see to it that an agent of VENV runs
#   doctor WORKSPACE                 what `aispool doctor` finds
#
# Each may be repeated, and be cut off anywhere. What it changed it says in a line that begins with `changed: `.

set -euo pipefail
umask 077
: "${missing[*]-}" # of packages.sh
share=${XDG_DATA_HOME:-$HOME/.local/share}/aispool
command=$HOME/.local/bin/aispool
units=${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user
: "${XDG_RUNTIME_DIR:=/run/user/$(id -u)}"
export XDG_RUNTIME_DIR

changed() {
    printf 'changed: %s\n' "$*"
}

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# ---------------------------------------------------------------------------------------------------- probe

probe() {
    local workspace=$1 python
    printf 'system %s\n' "$(uname -s)"
    printf 'machine %s\n' "$(uname -m)"
    printf 'uid %s\n' "$(id -u)"
    printf 'free_kib %s\n' "$(df -Pk "$HOME" | awk 'NR == 2 { print $4 }')"
    need tmux tmux
    need rsync rsync
    need ps procps
    need_python
    [ "${#missing[@]}" -eq 0 ] || printf 'missing %s\n' "${missing[@]}"
    ! command -v apt-get > /dev/null || printf 'apt yes\n'
    ! sudo -n true 2> /dev/null || printf 'sudo yes\n'
    if python=$(find_python); then
        printf 'python %s\n' "$("$python" -c 'import platform, sys; print("%d.%d" % sys.version_info[:2], *platform.libc_ver())')"
    fi
    ! has_user_manager || printf 'systemd yes\n'
    [ ! -e "$share/current/complete" ] || printf 'venv %s\n' "$(readlink "$share/current")"
    [ ! -x "$command" ] || printf 'aispool %s\n' "$("$command" --version 2> /dev/null | tail -n 1)"
    [ ! -e "$workspace/VERSION" ] || printf 'protocol %s\n' "$(head -c 20 "$workspace/VERSION" | tr -dc 0-9)"
}

has_user_manager() {
    [ -d /run/systemd/system ] && systemctl --user show-environment > /dev/null 2>&1
}

# ---------------------------------------------------------------------------------------------------- packages

packages() {
    local as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" > /dev/null
    changed "installed $*"
}

# ---------------------------------------------------------------------------------------------------- install

receive() {
    mkdir -p "$share/wheels/$1"
    printf '%s\n' "$share/wheels/$1"
}

# The environment is made at its own place, since it cannot be moved; `complete` in it says that it is whole.
install() {
    local venv=$share/$1 wheels=$share/wheels/$1 python options=()
    mkdir -p "$share" "${command%/*}"
    if [ ! -e "$venv/complete" ]; then
        python=$(find_python) || fail 'there is no Python 3.11 or newer here'
        rm -rf "$venv"
        "$python" -m venv "$venv"
        [ "${3-}" != --offline ] || options=(--no-index --find-links "$wheels")
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "${options[@]}" "$wheels/$2" >&2
        "$venv/bin/aispool" --version > /dev/null
        sync
        : > "$venv/complete"
        changed "installed $("$venv/bin/aispool" --version | tail -n 1) as $venv"
    fi
    rm -rf "$share/wheels"
    if [ "$(readlink "$share/current" || true)" != "$1" ]; then
        ln -sfn "$1" "$share/current.new"
        mv -T "$share/current.new" "$share/current"
        changed "switched to $1"
    fi
    if [ "$(readlink "$command" || true)" != "$share/current/bin/aispool" ]; then
        if [ -e "$command" ] && [ ! -L "$command" ]; then
            mv "$command" "$command.before"
            changed "kept the former $command as $command.before"
        fi
        ln -sfn "$share/current/bin/aispool" "$command.new"
        mv -T "$command.new" "$command"
        changed "linked $command"
    fi
}

# ---------------------------------------------------------------------------------------------------- serve

serve() {
    workspace=$(readlink -m -- "$1")
    local wanted=$2 made
    made=$("$command" --workspace "$workspace" init)
    # its first line says what was made, the others what was brought up to date
    case $made in made:*) made=${made%%$'\n'*} ;; esac
    printf '%s\n' "$made" | sed -n 's/^\(made\|added\|upgraded\): /changed: \1 /p'
    # shellcheck source=scripts/workspace.sh
    scripts=$workspace/scripts && . "$scripts/workspace.sh"
    if is_default && has_user_manager; then
        install_units
    fi
    restart_old_agents "$wanted"
    if ! agent_runs; then
        sh "$scripts/start-agent.sh" > /dev/null
        changed 'started the agent'
    fi
    remove_old_environments "$wanted"
}

# The units serve one workspace, the one in the home folder; README.md says how another is served.
is_default() {
    [ "$(readlink -f "$workspace")" = "$(readlink -f "$HOME/ai-workspace")" ]
}

install_units() {
    local shipped unit new=no
    shipped=$("$share/current/bin/python" -I -c 'from agent.share import share_folder; print(share_folder("systemd"))')
    mkdir -p "$units"
    for unit in aispool-tmux.service aispool-agent.service; do
        cmp -s "$shipped/$unit" "$units/$unit" && continue
        cp "$shipped/$unit" "$units/$unit.new"
        mv "$units/$unit.new" "$units/$unit"
        changed "installed $unit"
        new=yes
    done
    [ "$new" = no ] || systemctl --user daemon-reload
    for unit in aispool-tmux.service aispool-agent.service; do
        systemctl --user is-enabled --quiet "$unit" && continue
        systemctl --user enable --quiet "$unit"
        changed "enabled $unit"
    done
    if [ ! -e "/var/lib/systemd/linger/$(id -un)" ]; then
        if loginctl enable-linger 2> /dev/null || sudo -n loginctl enable-linger "$(id -un)" 2> /dev/null; then
            changed 'enabled linger'
        else
            printf 'note: without linger the agent ends at logout: sudo loginctl enable-linger %s\n' "$(id -un)"
        fi
    fi
    # A server that an agent started by hand has brought with it holds the socket: its tools go on in it.
    tmux -S "$workspace/.aispool.tmux" list-sessions > /dev/null 2>&1 || systemctl --user start aispool-tmux.service
}

# An agent of another version, or one that was started by hand where there is a unit, stops claiming and exits;
# what it runs goes on, and the next agent adopts it.
restart_old_agents() {
    local record pid
    for record in "$workspace"/sessions/.agent-*/agent.json; do
        if ! [ -e "$record" ] || ! holds_lock "${record%/*}"; then
            continue
        fi
        pid=$(sed -n 's/^ *"pid": \([0-9]*\),*$/\1/p' "$record")
        is_agent "$pid" || continue
        if runs_from "$pid" "$share/$1" && { ! has_unit || is_unit "$pid"; }; then
            continue
        fi
        if is_unit "$pid"; then
            systemctl --user restart aispool-agent.service
        else
            kill -TERM "$pid"
        fi
        wait_for_end "$pid" || fail "the agent with pid $pid did not stop within 90 s: end it, then connect again"
        changed "stopped the former agent (pid $pid); what it ran goes on"
    done
}

is_agent() {
    [ -n "$1" ] && tr '\0' '\n' < "/proc/$1/cmdline" 2> /dev/null | grep -qx agent
}

runs_from() {
    tr '\0' '\n' < "/proc/$1/cmdline" 2> /dev/null | head -n 1 | grep -qF "$2/"
}

has_unit() {
    is_default && has_user_manager && systemctl --user is-enabled --quiet aispool-agent.service
}

is_unit() {
    has_unit && [ "$(systemctl --user show --property=MainPID --value aispool-agent.service)" = "$1" ]
}

wait_for_end() {
    local looks=0
    while kill -0 "$1" 2> /dev/null; do
        [ "$looks" -lt 900 ] || return 1
        looks=$((looks + 1))
        sleep 0.1
    done
}

# What runs in a session was started from the environment of its time, which stays for as long.
remove_old_environments() {
    local folder
    for folder in "$share"/venv-*; do
        if [ "$folder" = "$share/$1" ] || ! [ -d "$folder" ]; then
            continue
        fi
        if ! is_used "$folder"; then
            rm -rf "$folder"
            changed "removed $folder, which nothing uses any more"
        fi
    done
}

# A tmux server goes on naming the words that once started it; it runs nothing of them.
is_used() {
    local process
    for process in /proc/[0-9]*; do
        if grep -qsF "$1/" "$process/cmdline" "$process/environ" && ! grep -qsx 'tmux: server' "$process/comm"; then
            return 0
        fi
    done
    return 1
}

# ---------------------------------------------------------------------------------------------------- doctor

doctor() {
    "$command" --workspace "$1" doctor --json
}

cd
"$@"
