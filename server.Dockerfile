# The registry host's half: publishes a registry's blobs over NDN.
#
#   docker build -f server.Dockerfile -t ndn-registry-server .
#   docker run -d --network host -v /run/nfd:/run/nfd:ro -v ndn-registry-server:/var/lib/ndn-registry \
#     ndn-registry-server --registry http://127.0.0.1:5001 --name /example/registry
#
# The process is not root. It opens the forwarder's socket, so that must be writable for user 65532: mode 0666, as NFD
# makes it, or the group that owns it given with --group-add. A --storage folder is mounted read-only and readable.
ARG NODE_IMAGE=node:24-slim
FROM ${NODE_IMAGE}

WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund && npm cache clean --force
COPY . .

# A named volume takes over the ownership of the folder it is mounted on; a bind mount must belong to 65532 already.
RUN mkdir -p /var/lib/ndn-registry && chown 65532:65532 /var/lib/ndn-registry
VOLUME /var/lib/ndn-registry
USER 65532:65532

# The status page stays inside the container; -e DOCKER_NDN_STATUS=0.0.0.0:9180 opens it to a metrics collector.
ENV NODE_ENV=production \
    DOCKER_NDN_KEYCHAIN=/var/lib/ndn-registry/keychain \
    DOCKER_NDN_STATE=/var/lib/ndn-registry/state \
    DOCKER_NDN_STATUS=127.0.0.1:9180

HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.DOCKER_NDN_STATUS.split(':').pop()}/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "cli/main.js", "server"]
