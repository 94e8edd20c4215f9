# The service's image: the first stage installs the pinned packages into a virtual environment, the
# second takes only that and the source. It runs as a fixed non-root user and needs no writable root:
#
#   docker build -t model-as-a-service .
#   docker run --read-only --tmpfs /tmp -p 8000:8000 -v models:/models model-as-a-service
#   docker run ... model-as-a-service serve                               on port 8080
#   docker run ... model-as-a-service python scripts/train.py --dataset wine
#   docker build --build-arg REQUIREMENTS=requirements-transformers.txt .     serves Hugging Face models too;
#       --build-arg PIP_EXTRA_INDEX_URL=...     names where torch's build for processors is: without, it is one for
#                                               GPUs on most indexes, and the image of 6 GB
#
# Any Debian-like image with Python 3.11 or later and pip will do as BASE_IMAGE.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS packages
ARG REQUIREMENTS=requirements.txt
ARG PIP_EXTRA_INDEX_URL
COPY ${REQUIREMENTS} /tmp/requirements.txt
# --without-pip: the base image's own pip installs, so that none is left in the environment.
RUN python -m venv --without-pip /opt/venv \
    && python -m pip --python /opt/venv/bin/python install --no-cache-dir -r /tmp/requirements.txt

FROM ${BASE_IMAGE}
# What installs packages is of no use to a service, but of some to an intruder.
RUN find / -xdev \( -path '*-packages/pip' -o -path '*-packages/pip-*' -o -path '*-packages/setuptools*' \
        -o -path '*-packages/wheel*' -o -path '*/bin/pip*' -o -name ensurepip -type d \) \
        -prune -exec rm -rf {} + \
    && useradd --system --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin app \
    && install -d -o app -g app /models
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY LICENSE gunicorn.conf.py maas_client.py ./
COPY deploy/entrypoint.sh deploy/healthcheck.py deploy/
COPY scripts scripts
COPY app app
# Compiled now: at run time nothing may be written beside the source.
RUN python -m compileall -q app scripts

# HOME is where libraries keep caches; only /tmp and the store are written to.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    MODEL_STORE=/models \
    BIND=0.0.0.0
USER 10001:10001
EXPOSE 8000 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-I", "-S", "deploy/healthcheck.py"]
ENTRYPOINT ["sh", "deploy/entrypoint.sh"]
