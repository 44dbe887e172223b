#!/bin/sh
# Makes .venv from the hash-pinned requirements: `sh infra/venv.sh run|dev`.
set -eu
kind=$1
fits='import sys; raise SystemExit(not ((3, 11) <= sys.version_info < (3, 15)))'
good="import venv, ensurepip; $fits"

if ! .venv/bin/python -c "import pip; $fits" 2>/dev/null; then
    found=
    for candidate in ${PYTHON:-python3 python3.11 python3.12 python3.13 python3.14}; do
        if command -v "$candidate" >/dev/null 2>&1 && "$candidate" -c "$good" 2>/dev/null; then
            found=$candidate
            break
        fi
    done
    if [ -z "$found" ]; then
        named=${PYTHON:-python3}
        echo "The exchange needs Python 3.11 to 3.14 with venv; $named is: $("$named" --version 2>&1 || true)" >&2
        echo "Install one (Debian: apt-get install python3.11-venv), or name one: make run PYTHON=/path/to/python3.11" >&2
        exit 2
    fi
    if ! rm -rf .venv 2>/dev/null || ! mkdir .venv 2>/dev/null; then
        echo "No permission to write in $(pwd). Clone into a folder of your own, or change its owner." >&2
        exit 2
    fi
    echo "Setting up .venv with $("$found" --version) …"
    if ! "$found" -m venv .venv; then
        echo "Making .venv failed: is the disk of $(pwd) full?" >&2
        exit 2
    fi
fi

file=requirements.txt
[ "$kind" = dev ] && file=requirements-dev.txt
total=$(grep -c '^[a-z0-9].*==' "$file")
echo "Installing $total pinned packages from $file (a minute or two the first time) …"
.venv/bin/python -m pip install --disable-pip-version-check --no-input --require-hashes \
    -r "$file" >.venv/pip.log 2>&1 &
pip=$!
trap 'kill "$pip" 2>/dev/null; echo; echo "Stopped; the next make goes on."; exit 130' INT TERM
shown=0
while kill -0 "$pip" 2>/dev/null; do
    now=$(grep -cE '^(Collecting|Requirement already)' .venv/pip.log 2>/dev/null || true)
    now=${now:-0}  # the log may not be there yet
    if [ -t 1 ] && [ "$now" != "$shown" ]; then
        shown=$now
        printf '\r  %s of %s' "$shown" "$total"
    elif [ "$now" -ge $((shown + 20)) ]; then
        shown=$now
        echo "  $shown of $total"
    fi
    sleep 0.5
done
trap - INT TERM
[ -t 1 ] && printf '\r'
if ! wait "$pip"; then
    tail -n 15 .venv/pip.log >&2
    echo "Installing failed; the whole log is .venv/pip.log. Is a package index reachable?" >&2
    exit 2
fi
.venv/bin/python -m pip install --disable-pip-version-check --no-input -q --no-deps --no-build-isolation -e . >>.venv/pip.log 2>&1 || {
    tail -n 15 .venv/pip.log >&2
    exit 2
}
echo "  done."
touch ".venv/$kind.done"
