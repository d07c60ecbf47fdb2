/**
 * Options of `ndn-registry server`.
 */
import { segmentSizes } from "#blob/names.ts";
import { defaultDirectories } from "./default-directories.ts";
import { hostAndPort, nonEmpty, oneOf, registryUrl } from "./parsers.ts";
import { face, keychain, logging, mtu, name, uplink } from "./shared-options.ts";
import { formatSize, parseSize } from "./sizes.ts";

/** 16 MiB are for what faces have to send. */
const minMemoryBytes = 24 * 1024 * 1024;

/** What is published and how; of `start` as well. */
export const publishing = {
  publish: {
    flag: "publish",
    value: "PATTERN",
    repeatable: true,
    help: "Repositories to publish (team/*, public/**); without it, whatever an anonymous pull can read.",
    parse: nonEmpty,
  },
  exclude: {
    flag: "exclude",
    value: "PATTERN",
    repeatable: true,
    help: "Repositories that never go onto NDN.",
    parse: nonEmpty,
  },
  publishCatalog: {
    flag: "publish-catalog",
    value: "on|off",
    help: "Whether the names of the repositories that are published can be listed over NDN.",
    bare: "on",
    fallback: "off",
    parse: (text: string) => oneOf("on", "off")(text) === "on",
  },
  storage: {
    flag: "storage",
    value: "DIR",
    help: "The registry's own storage directory, to read blobs from disk instead of over HTTP.",
    parse: nonEmpty,
  },
  chunkSize: {
    flag: "chunk-size",
    value: "BYTES",
    help: "Segment size that metadata proposes: 8192, or 1200 where the path is UDP without fragmentation.",
    fallback: "8192",
    parse: (text: string) => {
      const size = segmentSizes.find((allowed) => String(allowed) === text);
      if (size === undefined) throw new Error(`${JSON.stringify(text)} is not one of ${segmentSizes.join(", ")}`);
      return size;
    },
  },
  memory: {
    flag: "memory",
    value: "SIZE",
    help: "For blobs on their way from the registry to pullers, all together; at least 24MiB.",
    fallback: "64MiB",
    parse: (text: string) => {
      const bytes = parseSize(text);
      if (bytes < minMemoryBytes) throw new Error(`${JSON.stringify(text)} is less than ${formatSize(minMemoryBytes)}`);
      return bytes;
    },
  },
  keychain,
  exportAnchor: {
    flag: "export-anchor",
    value: "FILE",
    help: "File to write the certificate to at start, for pullers to take as their --anchor.",
    parse: nonEmpty,
  },
  state: {
    flag: "state",
    value: "DIR",
    help: "Directory for what may be forgotten but is better kept across restarts.",
    fallback: defaultDirectories.state,
    parse: nonEmpty,
  },
} as const;

/** Options of `ndn-registry server`. */
export const serverOptions = {
  registry: {
    flag: "registry",
    value: "URL",
    help: "HTTP base of the registry whose blobs are published.",
    required: true,
    parse: registryUrl,
  },
  registryCa: {
    flag: "registry-ca",
    value: "FILE",
    help: "Certificates of authorities that the registry is trusted by, PEM; besides those of the system.",
    parse: nonEmpty,
  },
  name: { ...name, required: true },
  uplink,
  face,
  mtu,
  ...publishing,
  status: {
    flag: "status",
    value: "HOST:PORT",
    help: "Address of the server's /healthz, /readyz and /metrics; off unless set.",
    parse: hostAndPort,
  },
  ...logging,
} as const;

/** Variables without a flag: secrets do not belong on command lines. */
export const serverSecrets = {
  DOCKER_NDN_REGISTRY_USERNAME: "Login at the registry, for repositories that match --publish.",
  DOCKER_NDN_REGISTRY_PASSWORD: "Its password.",
  DOCKER_NDN_REGISTRY_PASSWORD_FILE: "File that holds the password, instead of DOCKER_NDN_REGISTRY_PASSWORD.",
} as const;
