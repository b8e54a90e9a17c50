# shellcheck shell=bash
# What quickstart, test and the measuring scripts share: the Debian packages that a machine lacks, an interpreter, and
# Python's packages; sourced, never run.

missing=()

# need COMMAND PACKAGE: PACKAGE is missing when there is no COMMAND.
need() {
    command -v "$1" > /dev/null || missing+=("$2")
}

# Prints the first interpreter that is Python 3.11 or later.
find_python() {
    local name
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
            command -v "$name"
            return
        fi
    done
    return 1
}

# Python 3.11 with venv and pip's bootstrap, which Debian packs apart.
need_python() {
    local python
    if ! python=$(find_python); then
        if command -v python3 > /dev/null; then
            missing+=(python3.11 python3.11-venv) # an older Ubuntu, whose own python3 is too old
        else
            missing+=(python3 python3-venv)
        fi
    elif ! "$python" -c 'import ensurepip, venv' 2> /dev/null; then
        # Debian's own interpreter is called python3.N however it was found.
        missing+=("$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')")
    fi
}

# As root installs what is missing; anyone else is told each package, and what to type.
install_missing() {
    [ "${#missing[@]}" -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get > /dev/null; then
        printf 'missing package: %s\n' "${missing[@]}" >&2
        printf 'Install them, then run this again:\n    sudo apt-get install %s\n' "${missing[*]}" >&2
        exit 1
    fi
    printf 'installing: %s\n' "${missing[*]}"
    DEBIAN_FRONTEND=noninteractive apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
    missing=()
    hash -r
}

# python_group GROUP MODULE...: installs a dependency group into .venv unless its modules are there.
python_group() {
    local group=$1
    shift
    .venv/bin/python -c "import $(IFS=,; echo "$*")" 2> /dev/null && return
    if command -v uv > /dev/null; then
        uv pip install --quiet --python .venv/bin/python --group "$group"
    else
        .venv/bin/python -m pip install --quiet --group "$group"
    fi
}
