#!/bin/sh
# drop-task.sh [--files DIR] [--bytes N] FILE|- [NAME]
#
# Puts one task into the drop folder so that no agent can ever see half of it: a dotfile beside its place,
# synced, then renamed without replacing anything. Prints the name it got; when NAME is taken, that is a new one.
#
#   FILE|-       the task's JSON; - reads it from the standard input
#   NAME         its name in tasks/, the file's own by default; .json is added when it is missing
#   --files DIR  a folder that travels with the task: it becomes NAME.files beside it
#   --bytes N    refuse the task unless exactly N bytes arrived (for a connection that may break)
#
# Needs a shell and coreutils only. The workspace is AISPOOL_WORKSPACE, else the one this script lies in, else
# ~/ai-workspace.
#
#   drop-task.sh nightly.json                                       # from cron
#   ssh host ai-workspace/scripts/drop-task.sh - < report.json      # from a laptop

set -u
umask 077

# workspace.sh is not used here: this one file works alone on a laptop, and starts few programs.
fail() {
    printf 'drop-task.sh: %s\n' "$*" >&2
    exit 1
}

misuse() {
    printf 'drop-task.sh: %s (try --help)\n' "$*" >&2
    exit 2
}

files='' bytes=''
while :; do
    case ${1-} in
        --files | --bytes)
            [ $# -ge 2 ] || misuse "$1 needs a value"
            case $1 in --files) files=$2 ;; --bytes) bytes=$2 ;; esac
            shift 2
            ;;
        --help | -h)
            sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
            exit 0
            ;;
        --)
            shift
            break
            ;;
        -?*) misuse "no such option: $1" ;;
        *) break ;;
    esac
done
{ [ $# -eq 1 ] || [ $# -eq 2 ]; } || misuse "give one FILE, and at most one NAME"

case $0 in */*) here=${0%/*} ;; *) here=. ;; esac
if [ -n "${AISPOOL_WORKSPACE:-}" ]; then
    workspace=$AISPOOL_WORKSPACE
elif [ -f "$here/../VERSION" ]; then
    workspace=$here/..
else
    workspace=${HOME:?is not set}/ai-workspace
fi
tasks=$workspace/tasks
[ -d "$tasks" ] || fail "$workspace is no workspace: run setup-ai-protocol.sh, or name one in AISPOOL_WORKSPACE"

source=$1
name=${2:-${source##*/}}
[ "$name" = - ] && name=task.json
case $name in
    */* | .* | '' | *'
'*) misuse "NAME must be one visible file name: '$name'" ;;
esac
stem=${name%.json}
[ "${#stem}" -le 200 ] || misuse "NAME is longer than 200 characters"
[ -z "$files" ] || [ -d "$files" ] || fail "--files: $files is no folder"
case $bytes in *[!0-9]*) misuse "--bytes must be a number: '$bytes'" ;; esac

part=$tasks/.drop-$$.part
clean() {
    rm -rf "$part" "$part.files"
}
trap clean EXIT
trap 'exit 130' HUP INT TERM

{ command : > "$part"; } 2> /dev/null || fail "cannot write in $tasks: is it yours, is the disk full or read-only?"
# dd writes and syncs: each program that is started takes more than a millisecond
write_part() {
    dd bs=1048576 conv=fsync status=none of="$part"
}
if [ "$source" = - ]; then
    write_part || fail "the standard input could not be written to $tasks"
else
    { [ -f "$source" ] && [ -r "$source" ]; } || fail "$source: no such file, or it cannot be read"
    write_part < "$source" || fail "$source could not be copied to $tasks"
fi
[ -s "$part" ] || fail "$source is empty"
if [ -n "$bytes" ]; then
    arrived=$(wc -c < "$part")
    [ "$arrived" -eq "$bytes" ] || fail "$arrived of $bytes bytes arrived: nothing was dropped, send it again"
fi
if [ -n "$files" ]; then
    { mkdir "$part.files" && cp -R -- "$files/." "$part.files"; } || fail "$files could not be copied to $tasks"
    find "$part.files" ! -type l -exec sync {} + || fail "$files did not reach the disk"
fi

# `mv -n` is silent about a name that is taken, and its status depends on the version: what counts is whether the
# source is gone.
take_name() {
    if [ -n "$files" ]; then
        [ ! -e "$tasks/$1.json" ] || return 1 # else that task would get our files
        mv -nT -- "$part.files" "$tasks/$1.files" 2> /dev/null
        [ ! -e "$part.files" ] || return 1
    fi
    mv -nT -- "$part" "$tasks/$1.json" 2> /dev/null
    [ -e "$part" ] || return 0
    [ -z "$files" ] || mv -nT -- "$tasks/$1.files" "$part.files"
    return 1
}

free=$stem count=0
until take_name "$free"; do
    [ -e "$tasks/$free.json" ] || [ -e "$tasks/$free.files" ] || [ "$count" -lt 100 ] ||
        fail "cannot rename in $tasks: is it yours, is the disk full or read-only?"
    count=$((count + 1))
    free=$stem-$$-$count
done
trap - EXIT
sync "$tasks"
printf '%s\n' "$free.json"
