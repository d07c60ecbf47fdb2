/**
 * Options that more than one verb has, each declared once.
 */
import { parseFaceUrl } from "#ndn/face/face-url.ts";
import { maxMtu, minMtu } from "#ndn/face/mtu.ts";
import { parseName } from "#ndn/packet/name.ts";
import { defaultDirectories } from "./default-directories.ts";
import { nonEmpty, oneOf, registryUrl, wholeNumber } from "./parsers.ts";

/** Prefix of the blobs; each verb says whether it is required. */
export const name = {
  flag: "name",
  value: "PREFIX",
  help: "NDN name prefix under which the blobs are published, in URI form.",
  parse: parseName,
} as const;

/** Forwarders that a server connects to. */
export const uplink = {
  flag: "uplink",
  alias: "router",
  value: "URL",
  repeatable: true,
  help: "Forwarder to connect to: unix://PATH, tcp://HOST:PORT or udp://HOST:PORT.",
  predecessor: "NDNTS_UPLINK",
  parse: parseFaceUrl,
} as const;

/** Faces that a server accepts. */
export const face = {
  flag: "face",
  value: "URL",
  repeatable: true,
  help: "Accept faces directly on tcp://HOST:PORT, udp://HOST:PORT or unix://PATH, so that two machines need no forwarder.",
  parse: parseFaceUrl,
} as const;

/** Of uplinks and faces over UDP. */
export const mtu = {
  flag: "mtu",
  value: "BYTES",
  help: "Bytes of a datagram at most, in what is sent over UDP; 1400, or less where an interface carries less, unless set.",
  parse: wholeNumber(minMtu, maxMtu),
} as const;

/** The registry behind an endpoint. */
export const upstream = {
  flag: "upstream",
  value: "URL",
  help: "Registry for everything that does not come over NDN.",
  parse: registryUrl,
} as const;

/** Whom to trust at that registry. */
export const upstreamCa = {
  flag: "upstream-ca",
  value: "FILE",
  help: "Certificates of authorities that upstream registries are trusted by, PEM; besides those of the system.",
  parse: nonEmpty,
} as const;

/** Where the signing key is. */
export const keychain = {
  flag: "keychain",
  value: "DIR",
  help: "Directory of the signing key, made on first run with mode 0700.",
  fallback: defaultDirectories.keychain,
  predecessor: "NDNTS_KEYCHAIN",
  parse: nonEmpty,
} as const;

/** How a program logs. */
export const logging = {
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

/** What `--uplink` means when neither it nor `--face` is given. */
export const defaultUplink = "unix:///run/nfd/nfd.sock";
