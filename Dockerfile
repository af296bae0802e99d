# syntax=docker/dockerfile:1
# The image of BigBrotr, and its binary: `docker build -t bigbrotr .`, and
# `docker build --target binary --output dist .`. Base images are pinned by tag; a release build
# may pin them by digest. Stages are ordered by how seldom their input changes.

FROM denoland/deno:bin-2.9.6 AS deno

# What runs needs: roots of trust, the fast signature checker, and an init that passes on signals.
FROM debian:12.11-slim AS base
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates libsecp256k1-1 tini \
  && rm -rf /var/lib/apt/lists/*
COPY --from=deno /deno /usr/local/bin/deno
ENV DENO_DIR=/deno-dir DENO_NO_UPDATE_CHECK=1 NO_COLOR=1
WORKDIR /app

# deno.json without the packages of the tests. Made anew with every change of the source, but the
# next stage is only built again when its result differs.
FROM base AS manifest
COPY deno.json deno.lock ./
COPY src src
COPY deployments/_shared/image/production.ts production.ts
RUN mkdir /out \
  && deno run --no-config --no-lock --allow-read=. --allow-write=/out \
    production.ts reduce /out/deno.json
RUN deno run --no-config --no-lock --allow-read=. --allow-write=/out \
    production.ts launcher /out/bigbrotr

# The packages, by the lock file: `verify` fails where one of them is not the tested one.
FROM base AS packages
COPY --from=manifest /out/deno.json ./
COPY deno.lock ./
COPY deno.lock /tmp/tested.lock
COPY deployments/_shared/image/production.ts /tmp/production.ts
RUN deno install \
  && deno run --no-config --no-lock --allow-read /tmp/production.ts verify \
    /tmp/tested.lock deno.lock

FROM packages AS build
COPY src src
COPY sql sql
COPY config config
RUN deno cache --frozen src/main.ts src/verify/worker.ts src/store/pglite_worker.ts

# Which commit this is: shown by --version, in /metrics and at /.
FROM build AS compile
ARG REVISION=unknown
RUN BIGBROTR_COMMIT="$REVISION" deno task compile

FROM scratch AS binary
COPY --from=compile /app/dist/bigbrotr /bigbrotr

FROM base AS bigbrotr
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="BigBrotr" \
  org.opencontainers.image.description="Watches Nostr relays, archives their events, answers questions about both" \
  org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"
ENV BIGBROTR_COMMIT="${REVISION}"
COPY --from=manifest --chmod=755 /out/bigbrotr /usr/local/bin/
COPY --chmod=755 deployments/_shared/image/ready /usr/local/bin/
COPY --from=build /deno-dir /deno-dir
COPY --from=build /app /app
# A named volume takes owner and mode from here. All else belongs to root and is never written.
RUN install --directory --owner=10001 --group=10001 --mode=700 /app/.data
USER 10001:10001
VOLUME /app/.data
EXPOSE 8080
STOPSIGNAL SIGTERM
# Not "is it alive" but "does every stage make progress and the database answer".
HEALTHCHECK --interval=30s --timeout=15s --start-period=2m --retries=3 CMD ["ready"]
ENTRYPOINT ["tini", "--", "bigbrotr"]
# All addresses of the container; who may reach them is said where it is started.
CMD ["run", "--set", "api.host=0.0.0.0"]
