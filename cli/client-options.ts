/**
 * Options of `ndn-registry client`.
 */
import { parseHedgeMode } from "#blob/hedge.ts";
import { defaultMaxConnections } from "#client/listener/listen.ts";
import { authorizeChoices, manifestChoices, offlinePolicies } from "#client/registries/client-config.ts";
import { parseStaleTime } from "#client/registries/stale-time.ts";
import { parseUplinkUrl } from "#ndn/face/face-url.ts";
import { cacheDir } from "./cache/options.ts";
import {
  listenAddress,
  nonEmpty,
  oneOf,
  positiveNumber,
  registryUrlOrNone,
  secondsAsMs,
  wholeNumber,
} from "./parsers.ts";
import { logging, mtu, name, uplink, upstream, upstreamCa } from "./shared-options.ts";
import { formatSize, parseRate, parseSize } from "./sizes.ts";

/** Two blocks of 256 KiB for each of a few blobs, and some to grow. */
const minMaxWindowBytes = 4 * 1024 * 1024;

/** How blobs are fetched; of `start` as well. */
export const pulling = {
  upstreamCa,
  listen: {
    flag: "listen",
    value: "HOST:PORT|unix:///PATH",
    repeatable: true,
    help: "Addresses of the registry endpoint that pullers use; :PORT is all of the machine.",
    fallback: "127.0.0.1:5000",
    parse: listenAddress,
  },
  authorize: {
    flag: "authorize",
    value: "upstream|none",
    help: "Who decides whether a puller may have a blob that NDN has: the upstream registry, or no one.",
    fallback: "upstream",
    parse: oneOf(...authorizeChoices),
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
  maxWindow: {
    flag: "max-window",
    value: "SIZE",
    help: "What may be asked for over NDN and not be taken, all blobs together: bytes, or with KiB, MiB …; at least 4MiB.",
    fallback: "64MiB",
    parse(text: string): number {
      const bytes = parseSize(text);
      if (bytes < minMaxWindowBytes)
        throw new Error(`less than ${formatSize(minMaxWindowBytes)} is too little for a long path`);
      return bytes;
    },
  },
  maxCwnd: {
    flag: "max-cwnd",
    value: "SEGMENTS",
    help: "Interests in flight at most under one prefix, whatever the path has room for; as many as --max-window holds unless set.",
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

/** What is cached and who is served from it; of `start` as well. */
export const caching = {
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
    parse: oneOf(...offlinePolicies),
  },
  tagTimeoutMs: {
    flag: "tag-timeout",
    value: "SECONDS",
    help: "How long the upstream may take to say what a tag means, or who may have a blob, before the cache answers.",
    fallback: "4",
    parse: secondsAsMs(3600),
  },
  prefetch: {
    flag: "prefetch",
    value: "on|off",
    help: "Whether layers are fetched as soon as their manifest passes.",
    fallback: "off",
    parse: oneOf("on", "off"),
  },
} as const;

/** Who may use the endpoint; of `start` as well. */
export const sharing = {
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
    help: "Logins of the endpoint (bcrypt, as of htpasswd -B); then everyone needs one.",
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
    help: "Who may see the status page: this machine, or everyone who reaches the endpoint.",
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

/** Options of `ndn-registry client`. */
export const clientOptions = {
  name,
  upstream: {
    ...upstream,
    value: "URL|none",
    help: "Registry for everything that does not come over NDN; with none everything does, which needs an --anchor.",
    parse: registryUrlOrNone,
  },
  config: {
    flag: "config",
    value: "FILE",
    help: "Several registries, as YAML; instead of --name, --upstream and --anchor.",
    parse: nonEmpty,
  },
  uplink: {
    ...uplink,
    help: "Forwarder to connect to: unix://PATH, tcp://HOST:PORT or udp://HOST:PORT; fch: or fch:URL finds a router (NDN-FCH).",
    parse: parseUplinkUrl,
  },
  mtu,
  ...pulling,
  hedge: {
    flag: "hedge",
    value: "off|auto|MS",
    help: "When the upstream is asked as well because the first bytes over NDN are late: never, by what was seen, or after this time.",
    fallback: "auto",
    parse: parseHedgeMode,
  },
  ...caching,
  manifests: {
    flag: "manifests",
    value: "https|ndn|fallback",
    help: "Who says what a tag means: the upstream, the servers on NDN, or they where the upstream fails (with an --anchor).",
    fallback: "fallback",
    parse: oneOf(...manifestChoices),
  },
  maxAge: {
    flag: "max-age",
    value: "SECONDS",
    help: "What a server on NDN has said of a tag longer ago is asked for again, past all caches.",
    fallback: "60",
    parse: secondsAsMs(3600),
  },
  staleTags: {
    flag: "stale-tags",
    value: "TIME",
    help: "How long a tag is served as it was while no one on NDN says what it means: 24h, never or forever.",
    fallback: "24h",
    parse: parseStaleTime,
  },
  ...sharing,
  ...logging,
} as const;

/** Variables without a flag: secrets do not belong on command lines. */
export const clientSecrets = {
  DOCKERHUB_USERNAME: "Login at Docker Hub, for pulls by pullers that bring no login of their own.",
  DOCKERHUB_PASSWORD: "Its password or access token.",
  DOCKERHUB_PASSWORD_FILE: "File that holds the password, instead of DOCKERHUB_PASSWORD.",
} as const;
