/**
 * Where a forwarder listens, as people write it: `unix:///run/nfd/nfd.sock`, `tcp://host:6363`, `udp://host:6363`.
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

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}
