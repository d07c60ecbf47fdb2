import { once } from "node:events";
import { get, type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";
import pino from "pino";
import { Registry } from "prom-client";
import type { BlobSource } from "#blob/source.ts";
import { type Client, openClient } from "#client/client.ts";
import type { ClientParts } from "#client/parts.ts";
import { type RegistryPolicy, singleRegistry } from "#client/registries/client-config.ts";
import { createClientMetrics } from "#client/status/metrics.ts";
import type { Network } from "#oci/connections.ts";
import { RegistryClient, type RegistryClientOptions } from "#oci/registry-client.ts";
import type { NdnBlobs } from "#uplinks/uplink-blobs.ts";

/** A running endpoint in front of some upstream. */
export interface Endpoint extends AsyncDisposable {
  readonly url: URL;
  readonly client: Client;
  /** What was logged, as objects. */
  readonly logs: Record<string, unknown>[];
  readonly metrics: Registry;
}

/** What an endpoint or a registry answered. */
export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** What an endpoint is started with besides. */
export interface EndpointOptions extends Partial<ClientParts>, Partial<RegistryPolicy> {
  readonly credentials?: { readonly username: string; readonly password: string };
  readonly network?: Network;
  /** Time-outs of the registry client, where they apply. */
  readonly timeouts?: Pick<RegistryClientOptions, "headersTimeoutMs" | "bodyTimeoutMs">;
}

/** Start an endpoint on a free port; `ndn` is asked for its source with each blob. Nothing is cached unless a store is given. */
export async function startEndpoint(
  upstream: URL,
  ndn?: BlobSource | (() => BlobSource | undefined) | NdnBlobs,
  { authorize, offline, prefetch, credentials, network, timeouts, ...options }: EndpointOptions = {},
): Promise<Endpoint> {
  const registry = new RegistryClient({ base: upstream, credentials, network, ...timeouts });
  const logs: Record<string, unknown>[] = [];
  const log = pino({ level: "info" }, { write: (line) => logs.push(JSON.parse(line) as Record<string, unknown>) });
  const metrics = new Registry();
  const { default: name, registries } = singleRegistry({
    upstream,
    ...(authorize && { authorize }),
    ...(offline && { offline }),
    ...(prefetch !== undefined && { prefetch }),
  });
  const client = await openClient({
    mirrors: new Map([[name, { config: registries.get(name)!, registry, ndn: waysOf(ndn) }]]),
    defaultRegistry: name,
    log,
    metrics: createClientMetrics(metrics),
    readiness: () => ({ ready: true, missing: [] }),
    listen: [{ host: "127.0.0.1", port: 0 }],
    ...options,
  });
  const close = async () => {
    await client.close(0);
    await registry.close();
  };
  return { url: new URL(client.url), client, logs, metrics, [Symbol.asyncDispose]: close };
}

function waysOf(ndn: BlobSource | (() => BlobSource | undefined) | NdnBlobs | undefined): NdnBlobs {
  if (typeof ndn === "object" && "paths" in ndn) return ndn;
  const source = typeof ndn === "function" ? ndn : () => ndn;
  return {
    paths: () => ({ first: [source()].filter((path) => path !== undefined), lastResort: undefined }),
    trouble: () => (source() ? undefined : "uplink unix:///test is down"),
  };
}

/** Send one request with the path as it is written; rejects when the answer breaks off. */
export async function ask(
  base: URL,
  path: string,
  { method = "GET", headers = {}, body }: { method?: string; headers?: Record<string, string>; body?: Buffer } = {},
): Promise<Answer> {
  const sent = request({ host: base.hostname, port: base.port, path, method, headers, agent: false });
  sent.end(body);
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  sent.on("error", () => {}); // an answer may come before the request has been sent
  const pieces: Buffer[] = [];
  for await (const piece of answer) pieces.push(piece as Buffer);
  return { status: answer.statusCode!, headers: answer.headers, body: Buffer.concat(pieces) };
}

/** Begin a GET; the caller reads or destroys the answer. */
export async function begin(
  base: URL,
  path: string,
  options: { readonly headers?: Record<string, string> } = {},
): Promise<IncomingMessage> {
  const sent = get({ host: base.hostname, port: base.port, path, agent: false, ...options });
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  return answer;
}
