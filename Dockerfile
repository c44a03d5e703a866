# The image holds one static program, the certificates that it needs to speak HTTPS, and nothing else: no shell, no
# package manager. It runs as a user without rights and writes to /data only.
#
#   docker build -t jauge .
#   docker run --rm --name jauge -v jauge:/data -v "$PWD/configs/example.yaml:/etc/jauge/jauge.yaml:ro" \
#     -p 127.0.0.1:9090:9090 jauge
#   curl localhost:9090/readyz
#   docker exec -it jauge /usr/local/bin/jauge connect mastodon --instance https://mastodon.example --paste
#
# Port 9090 has /metrics and health, and needs no login. The pages listen inside the container alone until somebody says
# who may enter: JAUGE_LISTEN=0.0.0.0:8080 with JAUGE_PUBLIC_URL and JAUGE_ADMIN_PASSWORD_HASH_FILE, behind a proxy that
# speaks HTTPS (deployments/pages.yaml).

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -o /out/jauge ./cmd/jauge \
 && mkdir -p /out/data

FROM scratch
LABEL org.opencontainers.image.title="jauge" \
      org.opencontainers.image.description="Collects figures of social-media accounts, computes KPIs, writes them to InfluxDB or SQLite" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/jauge /usr/local/bin/jauge
COPY --from=build --chown=65532:65532 /out/data /data
ENV JAUGE_CONFIG=/etc/jauge/jauge.yaml \
    JAUGE_DATA_DIR=/data \
    JAUGE_OPS_LISTEN=0.0.0.0:9090 \
    JAUGE_LOG_FORMAT=json
USER 65532:65532
VOLUME /data
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=6s --start-period=30s CMD ["/usr/local/bin/jauge", "health"]
ENTRYPOINT ["/usr/local/bin/jauge"]
CMD ["run"]
