/**
 * Options of `ndn-registry start`: those of both halves.
 */
import { caching, pulling, sharing } from "./client-options.ts";
import { publishing } from "./server-options.ts";
import { face, logging, mtu, name, uplink, upstream } from "./shared-options.ts";

/** Options of `ndn-registry start`. */
export const startOptions = {
  upstream: { ...upstream, fallback: "https://registry-1.docker.io" },
  name: { ...name, fallback: "/ndn-registry" },
  uplink,
  face,
  mtu,
  ...pulling,
  ...caching,
  ...sharing,
  ...publishing,
  ...logging,
} as const;
