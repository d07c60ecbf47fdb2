/**
 * Where a forwarder listens, as people write it: `unix:///run/nfd/nfd.sock`, `tcp://host:6363`, `udp://host:6363`; or
 * who knows one: `fch:`.
 */
import { isIP } from "node:net";

/** A parsed uplink or listener address. */
export type FaceUrl =
  | { readonly scheme: "unix"; readonly path: string; readonly text: string; readonly isLocal: true }
  | {
      readonly scheme: "tcp" | "udp";
      readonly host: string;
      readonly port: number;
      readonly text: string;
      /** Whether the host is this machine (loopback). */
      readonly isLocal: boolean;
    };

/** A service that names routers nearby: `fch:` or `fch:https://host/path` (NDN-FCH). */
export interface FchUrl {
  readonly scheme: "fch";
  /** HTTP URL of the service. */
  readonly service: string;
  readonly text: string;
  readonly isLocal: false;
}

/** An uplink's address: a forwarder, or who finds one. */
export type UplinkUrl = FaceUrl | FchUrl;

/** The public service of the NDN testbed. */
const defaultFchService = "https://fch.ndn.today";

/** The port that IANA assigned to NDN. */
const defaultPort = 6363;

/** Parse a face URL. @throws Error that shows the three forms. */
export function parseFaceUrl(text: string): FaceUrl {
  const unix = /^unix:(?:\/\/)?(\/(?!\/).+)$/.exec(text);
  if (unix) return { scheme: "unix", path: unix[1]!, text, isLocal: true };
  const inet = /^(tcp|udp)[46]?:\/\/(\[[0-9a-fA-F:.]+\]|[^:/\s[\]]+)(?::(\d{1,5}))?\/?$/.exec(text);
  const port = Number(inet?.[3] ?? defaultPort);
  if (!inet || port > 65535) {
    throw new Error(
      `not a face URL: ${JSON.stringify(text)} (unix:///run/nfd/nfd.sock, tcp://host:6363 or udp://host:6363)`,
    );
  }
  const host = inet[2]!.replace(/^\[|\]$/g, "");
  return { scheme: inet[1] as "tcp" | "udp", host, port, text, isLocal: isLoopback(host) };
}

/** Parse the address of an uplink. @throws Error that shows the forms. */
export function parseUplinkUrl(text: string): UplinkUrl {
  if (!/^fch:/i.test(text)) return parseFaceUrl(text);
  const service = text.slice("fch:".length) || defaultFchService;
  const url = URL.parse(service);
  const isHttp = url?.protocol === "https:" || url?.protocol === "http:";
  if (!isHttp || url.username || url.password || url.hash) {
    throw new Error("not an FCH service (fch: for the public one, or fch:https://host, without credentials)");
  }
  return { scheme: "fch", service: url.href, text, isLocal: false };
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}
