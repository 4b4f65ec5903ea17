# The image of a node: the binary with the console in it, and nothing to log in with.
#
#   docker build --build-arg VERSION=$(git describe --tags --always) -t meterhouse .
#   docker build --target embedded -t meterhouse:embedded .   # with the engine library, for one machine
#
# Base images are named by version. Pin them by digest where you build: the digests are yours to check.

FROM node:20.20.2-bookworm-slim AS console
RUN apt-get update && apt-get install --no-install-recommends -y make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Makefile ./
COPY web web
COPY server/console server/console
RUN make web

FROM golang:1.26-bookworm AS build
ARG VERSION=unknown
ENV CGO_ENABLED=0
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
COPY --from=console /src/server/console/dist server/console/dist
RUN go build -trimpath -ldflags "-s -w -X main.release=${VERSION}" -o /out/meterhouse ./cmd/meterhouse \
    && mkdir -p /out/data

FROM node:20.20.2-bookworm-slim AS engine
WORKDIR /src/engine
COPY engine/package.json engine/package-lock.json engine/install.sh engine/.npmrc ./
RUN ./install.sh && mkdir /out && cp node_modules/@chdb/lib-*/libchdb.so /out/

# The binary loads libraries at run time and so wants a libc: an image without one does not run it.
FROM debian:12.11-slim AS base
ARG VERSION=unknown
LABEL org.opencontainers.image.title="Meterhouse" \
      org.opencontainers.image.description="Usage metering and billing for AI agents, on ClickHouse" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/meterhouse /usr/local/bin/meterhouse
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
ENV METERHOUSE_DATA=/data METERHOUSE_LISTEN=0.0.0.0:8080
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/meterhouse", "health"]
ENTRYPOINT ["/usr/local/bin/meterhouse"]
CMD ["serve"]

FROM base AS embedded
COPY --from=engine /out/libchdb.so /usr/local/lib/libchdb.so
ENV LIBCHDB_PATH=/usr/local/lib/libchdb.so

# The last stage is what `docker build` makes: it talks to a ClickHouse of yours.
FROM base
