/**
 * All options of all verbs. A test compares this table with `sample.env` and docs/options.md.
 */
import { parseHedgeMode } from "#blob/hedge.ts";
import { segmentSizes } from "#blob/names.ts";
import { defaultMaxConnections } from "#client/listener/limits.ts";
import { parseFaceUrl, parseUplinkUrl } from "#ndn/face/face-url.ts";
import { parseName } from "#ndn/packet/name.ts";
import { cacheDir } from "./cache/options.ts";
import {
  faceListenerUrl,
  listenAddress,
  nonEmpty,
  oneOf,
  positiveNumber,
  registryUrl,
  wholeNumber,
} from "./parsers.ts";
import { parseRate, parseSize } from "./sizes.ts";

const name = {
  flag: "name",
  value: "PREFIX",
  help: "NDN name prefix under which the blobs are published, in URI form.",
  parse: parseName,
} as const;

const uplink = {
  flag: "uplink",
  alias: "router",
  value: "URL",
  repeatable: true,
  help: "Forwarder to connect to: unix://PATH, tcp://HOST:PORT or udp://HOST:PORT.",
  predecessor: "NDNTS_UPLINK",
  parse: parseFaceUrl,
} as const;

const clientUplinkHelp =
  "Forwarder to connect to: unix://PATH, tcp://HOST:PORT or udp://HOST:PORT; fch: or fch:URL finds a router (NDN-FCH).";

const face = {
  flag: "face",
  value: "URL",
  repeatable: true,
  help: "Accept faces directly on tcp://HOST:PORT or unix://PATH, so that two machines need no forwarder.",
  parse: faceListenerUrl,
} as const;

const upstream = {
  flag: "upstream",
  value: "URL",
  help: "Registry for everything that does not come over NDN.",
  parse: registryUrl,
} as const;

const logging = {
  logLevel: {
    flag: "log-level",
    value: "LEVEL",
    help: "Least severe messages that are logged: trace, debug, info, warn, error or fatal.",
    fallback: "info",
    parse: oneOf("trace", "debug", "info", "warn", "error", "fatal"),
  },
  logFormat: {
    flag: "log-format",
    value: "FORMAT",
    help: "Form of the log: pretty or json; pretty on a terminal, else json.",
    parse: oneOf("pretty", "json"),
  },
} as const;

const publishing = {
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
  storage: {
    flag: "storage",
    value: "DIR",
    help: "The registry's own storage directory, to read blobs from disk instead of over HTTP.",
    parse: nonEmpty,
  },
  chunkSize: {
    flag: "chunk-size",
    value: "BYTES",
    help: "Segment size that metadata proposes: 8192, or 1200 where the way is UDP without fragmentation.",
    fallback: "8192",
    parse: (text: string) => {
      const size = segmentSizes.find((allowed) => String(allowed) === text);
      if (size === undefined) throw new Error(`${JSON.stringify(text)} is not one of ${segmentSizes.join(", ")}`);
      return size;
    },
  },
  keychain: {
    flag: "keychain",
    value: "DIR",
    help: "Directory of the signing key, made on first run with mode 0700.",
    fallback: "./runtime/keychain",
    predecessor: "NDNTS_KEYCHAIN",
    parse: nonEmpty,
  },
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
    fallback: "./runtime/state",
    parse: nonEmpty,
  },
} as const;

const pulling = {
  listen: {
    flag: "listen",
    value: "HOST:PORT",
    help: "Address of the registry endpoint that pullers use.",
    fallback: "127.0.0.1:5000",
    parse: listenAddress,
  },
  authorize: {
    flag: "authorize",
    value: "upstream|none",
    help: "Who decides whether a puller may have a blob that NDN has: the upstream registry, or nobody.",
    fallback: "upstream",
    parse: oneOf("upstream", "none"),
  },
  stallTimeout: {
    flag: "stall-timeout",
    value: "SECONDS",
    help: "Silence after which NDN is given up for HTTPS in the middle of a blob; by measurement unless set.",
    parse: positiveNumber,
  },
  anchor: {
    flag: "anchor",
    value: "FILE|sha256:HEX",
    repeatable: true,
    help: "Trusted certificate of the server: with one, each packet is checked before a byte of it is given out.",
    parse: nonEmpty,
  },
  maxCwnd: {
    flag: "max-cwnd",
    value: "SEGMENTS",
    help: "Interests in flight at most, over all blobs.",
    fallback: "512",
    parse: wholeNumber(1, 65_536),
  },
  limitNdn: {
    flag: "limit-ndn",
    value: "RATE",
    help: "Bytes per second over NDN at most, for all pullers together, such as 20MB; unlimited unless set.",
    parse: parseRate,
  },
  limitUpstream: {
    flag: "limit-upstream",
    value: "RATE",
    help: "Bytes of blobs per second from upstream registries at most, for all pullers together; unlimited unless set.",
    parse: parseRate,
  },
} as const;

const holding = {
  cacheDir,
  cacheSize: {
    flag: "cache-size",
    value: "SIZE",
    help: "What may be cached, least recently used goes first: bytes, or with KiB, MiB, GiB, TiB, kB, MB, GB, TB; 0 is off.",
    fallback: "10GiB",
    parse: parseSize,
  },
  offline: {
    flag: "offline",
    value: "POLICY",
    help: "Who is served what is cached while the upstream does not answer: known-pullers, anyone or nobody.",
    fallback: "known-pullers",
    parse: oneOf("known-pullers", "anyone", "nobody"),
  },
  prefetch: {
    flag: "prefetch",
    value: "on|off",
    help: "Whether layers are fetched as soon as their manifest passes.",
    fallback: "off",
    parse: oneOf("on", "off"),
  },
} as const;

const sharing = {
  tlsCert: {
    flag: "tls-cert",
    value: "FILE",
    help: "Certificate of the endpoint with its chain, PEM; read again when it changes.",
    parse: nonEmpty,
  },
  tlsKey: { flag: "tls-key", value: "FILE", help: "Key of that certificate, PEM.", parse: nonEmpty },
  htpasswd: {
    flag: "htpasswd",
    value: "FILE",
    help: "Logins of the endpoint (bcrypt, as of htpasswd -B); then everybody needs one.",
    parse: nonEmpty,
  },
  maxConnections: {
    flag: "max-connections",
    value: "NUMBER",
    help: "Connections of pullers at a time.",
    fallback: String(defaultMaxConnections),
    parse: wholeNumber(1, 1_000_000),
  },
  statusFor: {
    flag: "status-for",
    value: "local|everyone",
    help: "Who may see the status page: this machine, or whoever reaches the endpoint.",
    fallback: "local",
    parse: oneOf("local", "everyone"),
  },
  statusHost: {
    flag: "status-host",
    value: "NAME",
    repeatable: true,
    help: "Host names by which the status page may be asked for, besides localhost and IP addresses.",
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
  name: { ...name, required: true },
  uplink,
  face,
  ...publishing,
  status: {
    flag: "status",
    value: "HOST:PORT",
    help: "Address of the server's /healthz, /readyz and /metrics; off unless set.",
    parse: listenAddress,
  },
  ...logging,
} as const;

/** Options of `ndn-registry client`. */
export const clientOptions = {
  name,
  upstream,
  config: {
    flag: "config",
    value: "FILE",
    help: "Several registries, as YAML; instead of --name, --upstream and --anchor.",
    parse: nonEmpty,
  },
  uplink: { ...uplink, help: clientUplinkHelp, parse: parseUplinkUrl },
  ...pulling,
  hedge: {
    flag: "hedge",
    value: "off|auto|MS",
    help: "When the upstream is asked as well because the first bytes over NDN are late: never, by what was seen, or after this time.",
    fallback: "auto",
    parse: parseHedgeMode,
  },
  ...holding,
  ...sharing,
  ...logging,
} as const;

/** Options of `ndn-registry start`. */
export const startOptions = {
  upstream: { ...upstream, fallback: "https://registry-1.docker.io" },
  name: { ...name, fallback: "/ndn-registry" },
  uplink,
  face,
  ...pulling,
  ...holding,
  ...sharing,
  ...publishing,
  ...logging,
} as const;

/** What `--uplink` means when neither it nor `--face` is given. */
export const defaultUplink = "unix:///run/nfd/nfd.sock";

/** Variables that exist without a flag: secrets do not belong on command lines. */
export const secretVariables = {
  DOCKERHUB_USERNAME: "Login at Docker Hub, for pulls by pullers that bring no login of their own.",
  DOCKERHUB_PASSWORD: "Its password or access token.",
  DOCKERHUB_PASSWORD_FILE: "File that holds the password, instead of DOCKERHUB_PASSWORD.",
  DOCKER_NDN_REGISTRY_USERNAME: "Login at the registry, for repositories that match --publish.",
  DOCKER_NDN_REGISTRY_PASSWORD: "Its password.",
  DOCKER_NDN_REGISTRY_PASSWORD_FILE: "File that holds the password, instead of DOCKER_NDN_REGISTRY_PASSWORD.",
  DOCKER_NDN_SAFEBAG_PASSWORD: "Passphrase of the SafeBag that ndn-registry key import reads.",
} as const;
