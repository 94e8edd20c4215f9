#!/bin/sh
# Make a virtual environment and install a file of pinned packages into it.
#
#   PYTHON=python3 sh scripts/install.sh VENV REQUIREMENTS
#
# What goes wrong on a fresh machine (a Python too old, no venv module, no network) is told in one line.
set -eu
python=${PYTHON:-python3} venv=$1 requirements=$2
log=$venv/install.log

fail() {
    echo "error: $*" >&2
    exit 1
}

if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c '' 2>/dev/null; then
    command -v "$python" >/dev/null 2>&1 ||
        fail "$python is not here; install Python 3.11 or later, or name one: PYTHON=/path/to/python3 make ..."
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "Python 3.11 or later is needed, and $python is $("$python" -V 2>&1); name another: PYTHON=python3.12 make ..."
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python has no venv module; on Debian and Ubuntu: apt-get install python3-venv"
    rm -rf "$venv"
    "$python" -m venv "$venv" || fail "could not make a virtual environment in $venv"
fi
"$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$venv was made with $("$venv/bin/python" -V 2>&1), and 3.11 or later is needed; run 'make clean' and try again"

# One dot per package: pip's own output goes to the log, which is shown only in so far as it matters.
echo "Installing $requirements into $venv (about a minute the first time) ..."
{
    status=0
    "$venv/bin/python" -m pip install --retries 2 --disable-pip-version-check -r "$requirements" 2>&1 || status=$?
    echo "exit status $status"
} | tee "$log" | awk '/^(Collecting|Installing)/ { printf "."; fflush() } END { print "" }'

tail -n 1 "$log" | grep -qx 'exit status 0' && exit 0
if grep -Eq 'from versions: none|NewConnectionError|Max retries|Name or service|Temporary failure|timed out' "$log"; then
    fail "no package index could be reached (no network, or a proxy pip does not know); see $log"
fi
fail "pip could not install $requirements: $(grep -m 1 '^ERROR' "$log" || echo 'no reason given'); see $log"
