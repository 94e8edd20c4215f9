#!/bin/sh
# Rewrite one file of pins from pyproject.toml, keeping the comment at its head.
#
#   UV=uv sh scripts/lock.sh REQUIREMENTS "--extra NAME ..." [--upgrade]
set -eu
file=$1 extras=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Pins that still fit are kept: uv reads them from the file it is told to write.
cp "$file" "$work/pins.txt"
# shellcheck disable=SC2086  # the extras are several words
"${UV:-uv}" pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
    --no-emit-index-url --no-emit-find-links $extras "$@" -o "$work/pins.txt" pyproject.toml
{
    sed -n '/^#/p' "$file"
    # A service computes on the processor: torch's build for that needs nothing of these.
    grep -v -e '^#' -e '^ *$' -e '^-' -e '^nvidia-' -e '^cuda-' -e '^triton==' "$work/pins.txt"
} >"$work/new.txt"
cat "$work/new.txt" >"$file"
echo "$file: $(grep -c '==' "$file") pins"
