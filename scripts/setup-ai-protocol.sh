#!/bin/sh
# setup-ai-protocol.sh
#
# Makes the workspace, and installs tmux.conf as ~/.tmux.conf; one that was there, and differs, is kept as
# ~/.tmux.conf.backup-YYYYmmdd-HHMMSS. Doing it twice changes nothing.
#
# The workspace is AISPOOL_WORKSPACE, else ~/ai-workspace. `aispool init` makes it; where aispool is not
# installed, this script makes the same folders.

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

make_folders() {
    for folder in . tasks tasks/held sessions results results/.tombstones rejected logs configs configs/env \
        configs/hooks scripts; do
        [ -d "$workspace/$folder" ] || mkdir -p "$workspace/$folder" || fail "cannot make $workspace/$folder"
    done
    for script in "$scripts"/*.sh "$scripts"/*.py "$scripts/tmux.conf"; do
        [ "${script##*/}" = packages.sh ] || # serves a checkout only
            [ -e "$workspace/scripts/${script##*/}" ] || cp -p "$script" "$workspace/scripts/"
    done
    [ -e "$workspace/configs/tmux.conf" ] || cp "$scripts/tmux.conf" "$workspace/configs/tmux.conf"
    [ -e "$workspace/VERSION" ] || printf '1\n' > "$workspace/VERSION"
}

install_tmux_conf() {
    mine=$HOME/.tmux.conf
    cmp -s "$scripts/tmux.conf" "$mine" && return
    if [ -e "$mine" ] || [ -L "$mine" ]; then
        backup=$mine.backup-$(date +%Y%m%d-%H%M%S)
        mv -nT -- "$mine" "$backup"
        [ ! -e "$mine" ] || fail "$mine could not be moved to $backup: nothing was changed, try again"
        printf 'kept your tmux configuration as %s\n' "$backup"
    fi
    cp "$scripts/tmux.conf" "$mine" || fail "cannot write $mine"
    printf 'installed %s\n' "$mine"
}

workspace=$(find_workspace) || exit 1
if aispool=$(find_aispool); then
    "$aispool" --workspace "$workspace" init || exit 1
else
    make_folders
    printf 'workspace: %s (aispool is not installed here, so nothing runs its tasks yet)\n' "$workspace"
fi
install_tmux_conf
