/** An endpoint with a store in front of a registry, and what its machine's programs ask of its cache. */

import pino from "pino";
import { beforeEach } from "vitest";
import { BlobStore } from "#store/blob-store.ts";
import { type Endpoint, type EndpointOptions, startEndpoint } from "#test/client/endpoint.ts";
import { startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { useStage } from "#test/support/stage.ts";

const change = { "x-ndn-registry": "1" };

/** What `GET /-/cache` answers. */
export interface Listing {
  readonly usedBytes: number;
  readonly images: readonly {
    readonly name: string;
    readonly digest: string;
    readonly sizeBytes: number;
    readonly cachedBytes: number;
    readonly isPinned: boolean;
  }[];
  readonly blobs: readonly { readonly digest: string; readonly isPinned?: boolean }[];
}

/** Of each test: its own registry, directory and endpoint. */
export class ImageStage {
  registry!: TestRegistry;
  directory!: string;
  store!: BlobStore;
  endpoint!: Endpoint;
  /** The registry's name, in front of images. */
  get host(): string {
    return this.registry.host;
  }

  async start(options: EndpointOptions & { readonly maxBytes?: number } = {}): Promise<void> {
    const { maxBytes = 100_000_000, ...own } = options;
    this.store = await BlobStore.open({ directory: this.directory, maxBytes, log: pino({ level: "silent" }) });
    this.endpoint = await startEndpoint(this.registry.url, undefined, { store: this.store, ...own });
  }

  async stop(): Promise<void> {
    await this.endpoint?.[Symbol.asyncDispose]();
    await this.store?.close();
  }

  async restart(options: EndpointOptions & { readonly maxBytes?: number } = {}): Promise<void> {
    await this.stop();
    await this.start(options);
  }

  async list(): Promise<Listing> {
    return (await (await fetch(new URL("/-/cache", this.endpoint.url))).json()) as Listing;
  }

  /** The names of what is listed. */
  async names(): Promise<string[]> {
    return (await this.list()).images.map(({ name }) => name);
  }

  /** `POST /-/cache/<what>?image=…`, or DELETE; the last line of the answer as JSON. */
  async ask(what: "add" | "pin" | "unpin" | "images", image: string, platforms: readonly string[] = []) {
    const url = new URL(`/-/cache/${what}`, this.endpoint.url);
    url.searchParams.append("image", image);
    for (const platform of platforms) url.searchParams.append("platform", platform);
    const answer = await fetch(url, { method: what === "images" ? "DELETE" : "POST", headers: change });
    const lines = (await answer.text()).trimEnd().split("\n");
    return { status: answer.status, lines, outcome: JSON.parse(lines.at(-1)!) as Record<string, unknown> };
  }

  /** Pull as a puller does: manifest, then blobs. */
  async pull(repository: string, reference: string, blobs: readonly string[] = []): Promise<number> {
    const base = new URL(`/v2/${repository}/`, this.endpoint.url);
    const manifest = await fetch(new URL(`manifests/${reference}`, base), { headers: { accept: "*/*" } });
    await manifest.arrayBuffer();
    for (const digest of blobs) await (await fetch(new URL(`blobs/${digest}`, base))).arrayBuffer();
    return manifest.status;
  }
}

/** A stage that is not started: each test says with which options. */
export function useImageStage(): ImageStage {
  const files = useStage();
  const stage = new ImageStage();
  beforeEach(async () => {
    stage.registry = await startRegistry();
    stage.directory = await files.newFolder("cache");
    return async () => {
      await stage.stop();
      await stage.registry.close();
    };
  });
  return stage;
}
