# The puller's half: an OCI pull endpoint whose blobs come over NDN.
#
#   docker build -f client.Dockerfile -t ndn-registry-client .
#   docker run -d -p 127.0.0.1:5000:5000 -v /run/nfd:/run/nfd:ro \
#     ndn-registry-client --upstream https://registry.example --name /example/registry
#
# The process is not root. It opens the forwarder's socket, so that must be writable for user 65532: mode 0666, as NFD
# makes it, or the group that owns it given with --group-add.
ARG NODE_IMAGE=node:24-slim
FROM ${NODE_IMAGE}

WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund && npm cache clean --force
COPY . .

RUN mkdir -p /var/lib/ndn-registry && chown 65532:65532 /var/lib/ndn-registry
VOLUME /var/lib/ndn-registry
USER 65532:65532

# The container's loopback is its own: whom it serves is decided by -p, as above. With --network host there is no -p,
# and -e DOCKER_NDN_LISTEN=127.0.0.1:5000 keeps the endpoint on the machine.
ENV NODE_ENV=production \
    DOCKER_NDN_CACHE_DIR=/var/lib/ndn-registry/cache \
    DOCKER_NDN_LISTEN=0.0.0.0:5000
EXPOSE 5000

# It goes by DOCKER_NDN_LISTEN and DOCKER_NDN_TLS_CERT: it does not see the options behind the image's name.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
  CMD ["node", "cli/health-check.ts"]
ENTRYPOINT ["node", "cli/main.js", "client"]
