# An image for each stage: the binary, a user of its own, no secret.
#
#     docker compose build                                    all of them
#     docker build --target masker .                          one
#     docker build --target masker --build-arg PROFILE=dev --build-arg PACKAGES=trailgate-masker .
#                                                             one alone, sooner built, slower
#
# What cargo fetches and builds is kept in BuildKit's caches, so a change of our code builds our code
# alone. There is no `# syntax=` line: the builder in any Docker since 20.10 does, and one image fewer
# is pulled.

# Where the binaries are taken from: the stage `build`, or an image that has them in /out.
ARG BINARIES=build

FROM rust:1.95.0-bookworm AS build
RUN export DEBIAN_FRONTEND=noninteractive && apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends cmake libssl-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
# The image has this toolchain; rust-toolchain.toml asks for formatter and linter besides.
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /src
COPY . .
ARG PROFILE=release
ARG PACKAGES="trailgate-ingest-proxy trailgate-masker trailgate-approver trailgate-archiver \
    trailgate-query trailgate-cli"
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/target,sharing=locked \
    export CARGO_TARGET_DIR=/target \
    && cargo build --locked --profile "$PROFILE" $(printf -- '--package %s ' $PACKAGES) --bins \
    && folder="/target/$(echo "$PROFILE" | sed 's/^dev$/debug/')" \
    && mkdir /out \
    && for name in $PACKAGES; do \
        binary="$(echo "$name" | sed 's/-cli$//')" \
        && strip --strip-debug -o "/out/$binary" "$folder/$binary" || exit 1; \
    done

FROM ${BINARIES} AS binaries

FROM debian:bookworm-slim AS base
RUN export DEBIAN_FRONTEND=noninteractive && apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends ca-certificates libssl3 \
    && rm -rf /var/lib/apt/lists/*

FROM base AS ingest-proxy
COPY --from=binaries /out/trailgate-ingest-proxy /usr/local/bin/
USER 10001:10001
ENTRYPOINT ["trailgate-ingest-proxy", "--config", "/etc/trailgate/ingest-proxy.toml"]

FROM base AS masker
COPY --from=binaries /out/trailgate-masker /usr/local/bin/
USER 10002:10002
ENTRYPOINT ["trailgate-masker", "--config", "/etc/trailgate/masker.toml"]

FROM base AS approver
COPY --from=binaries /out/trailgate-approver /usr/local/bin/
USER 10003:10003
ENTRYPOINT ["trailgate-approver", "--config", "/etc/trailgate/approver.toml"]

FROM base AS archiver
COPY --from=binaries /out/trailgate-archiver /usr/local/bin/
USER 10004:10004
ENTRYPOINT ["trailgate-archiver", "--config", "/etc/trailgate/archiver.toml"]

FROM base AS query
COPY --from=binaries /out/trailgate-query /usr/local/bin/
# What a volume mounted here begins as.
RUN install -d -o 10005 -g 10005 -m 0700 /var/lib/trailgate
USER 10005:10005
ENTRYPOINT ["trailgate-query", "--config", "/etc/trailgate/query.toml"]

FROM base AS cli
COPY --from=binaries /out/trailgate /usr/local/bin/
USER 10000:10000
ENTRYPOINT ["trailgate"]
