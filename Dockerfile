# The programs of idlepolicy, each alone in an image without anything else:
#
#   docker build -t idleworker .                      the worker (the last stage)
#   docker build -t idletap --target idletap .        sessions from the desktops' own traffic
#   docker build -t idlectl --target idlectl .        the operator's tool
#   docker build -t idledemo --target idledemo .      the demonstration, which is also the simulated gateway
#
# For other processors: docker buildx build --platform linux/amd64,linux/arm64 .

# The compiler runs on the builder's own processor, whatever it builds for.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY messages messages
COPY config config
COPY worker worker
COPY cmd cmd
COPY deploy/samples deploy/samples
ARG VERSION=0.0.0-dev
ARG TARGETOS
ARG TARGETARCH
# No C library, no paths of the builder, no symbols: the same source gives the same bytes.
ENV CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH
RUN go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o /out/ ./cmd/...

FROM scratch AS base
ARG VERSION=0.0.0-dev
ARG REVISION=unknown
LABEL org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION \
      org.opencontainers.image.licenses=Apache-2.0
# Authorities for a gateway with a public certificate; time zones for what is shown and for times with a zone's name.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/local/go/lib/time/zoneinfo.zip /usr/share/zoneinfo.zip
ENV ZONEINFO=/usr/share/zoneinfo.zip
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532

FROM base AS idlectl
LABEL org.opencontainers.image.title=idlectl \
      org.opencontainers.image.description="The operator's tool of idlepolicy"
COPY --from=build /out/idlectl /idlectl
ENTRYPOINT ["/idlectl"]

FROM base AS idledemo
LABEL org.opencontainers.image.title=idledemo \
      org.opencontainers.image.description="idlepolicy in one process, and a simulated gateway"
COPY --from=build /out/idledemo /idledemo
ENTRYPOINT ["/idledemo"]

FROM base AS idletap
LABEL org.opencontainers.image.title=idletap \
      org.opencontainers.image.description="Keeps the sessions of idlepolicy from the desktops' own traffic"
COPY --from=build /out/idletap /idletap
ENV IDLE_TAP_ADDR=:8044 IDLE_HTTP_ADDR=:8081 IDLE_LOG_FORMAT=json
EXPOSE 8044 8081
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/idletap", "-health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/idletap"]

FROM base AS idleworker
LABEL org.opencontainers.image.title=idleworker \
      org.opencontainers.image.description="Applies idle-policy changes to a CC-Gateway"
COPY --from=build /out/idleworker /idleworker
# Outside the container the health and status page is of use only if it listens on more than loopback.
ENV IDLE_HTTP_ADDR=:8080 IDLE_LOG_FORMAT=json
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/idleworker", "-health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/idleworker"]
