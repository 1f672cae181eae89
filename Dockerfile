# One image for the API, the worker and the migrations. It brings no servers; see docker-compose.yml.

# The Python that the code is checked for.
FROM python:3.11-slim-bookworm AS base


FROM base AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# Wheels only, each by its hash: nothing is compiled, nothing comes that the locks do not name.
COPY requirements-image.lock requirements-build.lock ./
RUN python -m venv --without-pip /opt/instep \
    && python -m pip --python /opt/instep/bin/python install --require-hashes --only-binary :all: \
        -r requirements-image.lock \
    && python -m pip install --require-hashes --only-binary :all: -r requirements-build.lock
COPY pyproject.toml README.md ./
COPY app app
COPY workers workers
COPY migrations migrations
RUN python -m pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /dist . \
    && python -m pip --python /opt/instep/bin/python install --no-index --no-deps /dist/instep-*.whl


FROM base
ENV PATH=/opt/instep/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin instep
COPY --from=build /opt/instep /opt/instep
COPY --chmod=0644 docker/alive.py /opt/instep/alive.py
USER 10001:10001
WORKDIR /
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "/opt/instep/alive.py", "api"]
ENTRYPOINT ["instep"]
CMD ["api", "--host", "0.0.0.0"]
