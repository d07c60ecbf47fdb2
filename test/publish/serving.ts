/** A server over the in-process registry, and someone who asks it in memory. */
import { Data } from "@ndn/packet";
import { Decoder } from "@ndn/tlv";
import { pino } from "pino";
import { Registry } from "prom-client";
import { NdnSource } from "#blob/ndn-source.ts";
import { type BlobRef, fromStart } from "#blob/source.ts";
import { SegmentConsumer } from "#ndn/consumer/consumer.ts";
import { InterestClient, type InterestOptions, type RetryLimits } from "#ndn/consumer/interest-client.ts";
import { MemoryUplink } from "#ndn/face/memory-face.ts";
import { encodeInterest } from "#ndn/packet/interest.ts";
import { type Name, parseName } from "#ndn/packet/name.ts";
import type { Identity } from "#ndn/trust/keychain.ts";
import type { RegistryClientOptions } from "#oci/registry-client.ts";
import { createServer, type ServerOptions } from "#server/create-server.ts";
import type { BlobServer } from "#server/server.ts";
import type { TestRegistry } from "#test/support/registry.ts";
import { makeIdentity } from "./identity.ts";

export const prefix = parseName("/test/registry");
export const never = new AbortController().signal;

/** A line of the server's log. */
export interface LogLine {
  readonly level: number;
  readonly msg: string;
}

/** A running server and a consumer of it. */
export interface Serving extends AsyncDisposable {
  readonly server: BlobServer;
  readonly log: readonly LogLine[];
  /** A consumer of its own for every reader, as on several machines. */
  reader(): Reader;
}

/** Someone who fetches from the server. */
export interface Reader {
  readonly uplink: MemoryUplink;
  readonly consumer: SegmentConsumer;
  readonly interests: InterestClient;
  /** Fetch by metadata and segments, as the client does. */
  read(blob: BlobRef): Promise<Buffer>;
  /** Fetch one packet, for NDNts to read. */
  get(name: Name, options?: InterestOptions, limits?: RetryLimits): Promise<Data>;
  /** Send an Interest and forget it. */
  ask(name: Name, options?: Parameters<typeof encodeInterest>[1]): void;
}

/** Start a server for this registry. */
export async function serve(
  registry: TestRegistry,
  options: Partial<ServerOptions> & Pick<RegistryClientOptions, "credentials"> & { identity?: Identity } = {},
): Promise<Serving> {
  const log: LogLine[] = [];
  const { credentials, identity, ...rest } = options;
  const server = await createServer({
    prefix,
    keychain: identity ?? (await makeIdentity(prefix)),
    exportAnchor: undefined,
    registry: { base: registry.url, credentials },
    storage: undefined,
    publish: [],
    exclude: [],
    publishCatalog: false,
    uplinks: [],
    faces: [],
    segmentBytes: 8192,
    memoryBytes: 64 * 1024 * 1024,
    stateDirectory: undefined,
    status: undefined,
    log: pino({}, { write: (line: string) => void log.push(JSON.parse(line) as LogLine) }),
    metrics: new Registry(),
    ...rest,
  });
  const uplinks: MemoryUplink[] = [];
  return {
    server,
    log,
    reader: () => {
      const reader = readerOf(server);
      uplinks.push(reader.uplink);
      return reader;
    },
    async [Symbol.asyncDispose]() {
      for (const uplink of uplinks) uplink.close();
      await server.close();
    },
  };
}

function readerOf(server: BlobServer): Reader {
  const uplink = new MemoryUplink(server.producer);
  const consumer = new SegmentConsumer(uplink, { maxWindow: 512 });
  uplink.addHandler(consumer);
  const interests = new InterestClient(uplink);
  const source = new NdnSource(prefix, interests, consumer);
  uplink.open();
  return {
    uplink,
    consumer,
    interests,
    async read(blob) {
      const { chunks } = await source.open(blob, fromStart, AbortSignal.timeout(15_000));
      const all: Buffer[] = [];
      for await (const chunk of chunks) all.push(Buffer.from(chunk));
      return Buffer.concat(all);
    },
    async get(name, options, limits = { timeoutMs: 10_000 }) {
      return new Decoder(await interests.express(name, limits, never, options)).decode(Data);
    },
    ask: (name, interest) => uplink.face!.send(encodeInterest(name, interest)),
  };
}
