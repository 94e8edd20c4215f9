#!/bin/sh
# What the image starts: nothing or options serve on PORT (8000), `serve` serves where hosting
# platforms expect it (8080), and anything else is run as it is, such as `python scripts/train.py`.
set -eu
case ${1-} in
'' | -*) exec python scripts/serve.py "$@" ;;
serve)
    shift
    export PORT="${PORT:-8080}"
    # Where SageMaker unpacks the model's archive.
    if [ "${MODEL_STORE-}" = /models ] && [ -d /opt/ml/model ]; then export MODEL_STORE=/opt/ml/model; fi
    exec python scripts/serve.py "$@"
    ;;
*) exec "$@" ;;
esac
