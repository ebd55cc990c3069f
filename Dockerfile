# The daemon as an image: `docker build -t gcsd .`
#
# The port must be published with care: whoever reaches it acts with the daemon's credentials. So
#
#     docker run -p 127.0.0.1:4743:4743 gcsd serve --allow-unauthenticated
#
# and not `-p 4743:4743`, which opens it to every network of the host. Without that flag, and without a secret or client
# certificates, it does not start: from inside, a container cannot see who reaches its port.

FROM rust:1.95-slim-bookworm AS build
# The allocator is built by its own makefile.
RUN apt-get update && apt-get install -y --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# What `gcsd --version` tells, since the repository itself is left out: docker build --build-arg GCSD_COMMIT=$(git rev-parse HEAD)
ARG GCSD_COMMIT=
# The caches outlive the layer, so that a second build compiles only what changed.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin gcsd && cp target/release/gcsd /usr/local/bin/gcsd

FROM debian:bookworm-slim
# The authorities that sign the certificates of Google's endpoints.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
# The token key is kept here: mount a volume, or every new container starts with a new key, and no old upload token
# is valid any more.
RUN install -d -o 4743 -g 4743 -m 0700 /var/lib/gcsd
VOLUME /var/lib/gcsd
COPY --from=build /src/LICENSE /usr/share/doc/gcsd/LICENSE
COPY --from=build /usr/local/bin/gcsd /usr/bin/gcsd
USER 4743:4743
# A container's loopback is reached by nobody else; what is reached from outside is decided by `-p`.
ENV GCSD_LISTEN=0.0.0.0:4743 GCSD_STATE_DIR=/var/lib/gcsd
EXPOSE 4743
# PID 1 ignores signals that it does not handle; gcsd handles these two. On SIGTERM it lets requests in flight finish:
# give it more time than its grace, with `docker run --stop-timeout 45`.
STOPSIGNAL SIGTERM
# A client's connection and one answer. With GCSD_ADMIN set, readiness: started, not stopping, not full.
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s CMD ["gcsd", "health", "--connect-timeout", "3s"]
ENTRYPOINT ["gcsd"]
CMD ["serve"]
