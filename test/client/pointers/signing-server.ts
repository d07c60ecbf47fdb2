/**
 * A server of pointers that says what a test wants, signed as a real one; and a cache in front of it, which can be made to
 * replay, freeze and forge.
 */
import { createHash } from "node:crypto";
import { Data, Name as NdnName, SigInfo, type Signer } from "@ndn/packet";
import { Encoder } from "@ndn/tlv";
import { digestListRange, lastSegmentOf, metadataName, objectEncoder, objectName, parseBlobName } from "#blob/names.ts";
import { encodePointer, type Pointer } from "#blob/pointer.ts";
import { type PointerTarget, parsePointerName, pointerName, serverName } from "#blob/pointer-names.ts";
import { encodeCatalog, encodeTagList, snapshotTypes } from "#blob/snapshots.ts";
import { contentTypes, encodeMetadata } from "#ndn/packet/data.ts";
import type { InterestFields } from "#ndn/packet/interest.ts";
import { joinName, type Name, nameKey, segment, version } from "#ndn/packet/name.ts";
import { type ObjectDirectory, type Request, SegmentProducer } from "#ndn/producer.ts";
import { encodeSignedData } from "#ndn/trust/signed-data.ts";
import { type Digest, digestOfHash } from "#oci/reference.ts";
import { makeIdentity, type TestIdentity } from "#test/publish/identity.ts";

export const ociManifest = "application/vnd.oci.image.manifest.v1+json";
export const ociIndex = "application/vnd.oci.image.index.v1+json";
/** Id of the server that makes snapshots. */
const serverId = "0123456789abcdef";

/** What the server says of one pointer: an object, that there is none, or nothing. */
export type Said =
  | { readonly bytes: Buffer; readonly mediaType: string; readonly change?: Partial<Pointer> }
  | "absent"
  | "silence";

/** Hash of bytes, as digest. */
export function digestOfBytes(bytes: Uint8Array): Digest {
  return digestOfHash(createHash("sha256").update(bytes).digest());
}

/** The server and its cache. */
export class SigningServer implements ObjectDirectory {
  readonly producer: SegmentProducer;
  readonly prefix: Name;
  identity: TestIdentity;
  /** How far its clock is ahead. */
  clockAheadMs = 0;
  /** Objects up to this size come with their pointers. */
  inlineUpTo = 0;
  /** What the cache gives instead of the server's answer to what a cache may answer, until it returns undefined. */
  cached: ((name: Name) => Buffer | undefined) | undefined;
  /** Awaited before each answer, by what is asked. */
  gate: ((kind: string) => Promise<void>) | undefined;
  /** Nothing is answered. */
  isDown = false;
  /** Whether the objects that only this server has are gone. */
  hasSnapshots = true;
  /** Called with each question past caches. */
  onUnique: (() => void) | undefined;
  /** Interests that were answered or not, by what they ask for: `tag`, `tag unique`, `segment` … */
  readonly asked: string[] = [];
  /** Packets that were sent for common questions, by the name that was asked. */
  readonly sent = new Map<string, Buffer>();
  readonly #said = new Map<string, Said>();
  readonly #objects = new Map<Digest, Buffer>();
  readonly #blobs = new Map<string, number>();
  #version = 0;

  static async start(prefix: Name): Promise<SigningServer> {
    return new SigningServer(prefix, await makeIdentity(prefix));
  }

  constructor(prefix: Name, identity: TestIdentity) {
    this.prefix = prefix;
    this.identity = identity;
    this.producer = new SegmentProducer(prefix, this);
  }

  /** From now on it says this. */
  says(target: PointerTarget, said: Said): Digest | undefined {
    this.#said.set(nameKey(pointerName(this.prefix, target)), said);
    if (typeof said === "string") return undefined;
    return this.has(said.bytes);
  }

  /** It has an object. */
  has(bytes: Buffer): Digest {
    const digest = digestOfBytes(bytes);
    this.#objects.set(digest, bytes);
    return digest;
  }

  /** It publishes a blob in a repository. */
  publishes(repository: string, bytes: Buffer): Digest {
    const digest = this.has(bytes);
    this.#blobs.set(nameKey(metadataName(this.prefix, repository, digest)), bytes.length);
    return digest;
  }

  saysTag(repository: string, tag: string, bytes: Buffer, mediaType = ociManifest): Digest {
    const digest = this.says({ kind: "tag", repository, tag }, { bytes, mediaType })!;
    this.says({ kind: "manifest", repository, digest }, { bytes, mediaType });
    return digest;
  }

  saysTags(repository: string, tags: readonly string[]): Digest {
    const bytes = encodeTagList(
      repository,
      tags.map((name) => ({ name })),
    );
    return this.#saysSnapshot({ kind: "tags", repository }, bytes, snapshotTypes.tags);
  }

  saysCatalog(repositories: readonly string[]): Digest {
    return this.#saysSnapshot({ kind: "catalog" }, encodeCatalog(repositories), snapshotTypes.catalog);
  }

  saysReferrers(repository: string, digest: Digest, manifests: readonly object[]): Digest {
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests }));
    return this.#saysSnapshot({ kind: "referrers", repository, digest }, bytes, snapshotTypes.referrers);
  }

  #saysSnapshot(target: PointerTarget, bytes: Buffer, mediaType: string): Digest {
    const hint = serverName(this.prefix, serverId);
    return this.says(target, { bytes, mediaType, change: { hint } })!;
  }

  lookup(name: Name, interest: InterestFields): Request | undefined {
    const { kind, isCommon, answer } = this.#read(name, interest);
    this.asked.push(kind);
    const replayed = isCommon ? this.cached?.(name) : undefined;
    if (replayed) return { key: nameKey(name), segment: undefined, answer: async () => replayed };
    if (this.isDown) return undefined;
    const answered = async () => {
      await this.gate?.(kind);
      const packet = await answer();
      if (packet && isCommon) this.sent.set(nameKey(name), packet);
      return packet;
    };
    return { key: nameKey(name), segment: undefined, answer: answered };
  }

  #read(
    name: Name,
    interest: InterestFields,
  ): { kind: string; isCommon: boolean; answer: () => Promise<Buffer | undefined> } {
    const pointer = parsePointerName(this.prefix, name);
    if (pointer) {
      const { target, isUnique } = pointer;
      const kind = isUnique ? `${target.kind} unique` : target.kind;
      if (isUnique) this.onUnique?.();
      return { kind, isCommon: !isUnique, answer: () => this.signed(name, target) };
    }
    const request = parseBlobName(this.prefix, name);
    if (!request) return { kind: "other", isCommon: true, answer: async () => undefined };
    if (request.kind === "metadata") {
      const { isUnique, repository, digest } = request;
      const answer = () => this.#metadata(name, repository, digest);
      return { kind: isUnique ? "metadata unique" : "metadata", isCommon: !isUnique, answer };
    }
    const ofServer = interest.forwardingHint.some((hint) => hint.equals(serverName(this.prefix, serverId)));
    const bytes = ofServer && !this.hasSnapshots ? undefined : this.#objects.get(request.digest);
    if (!bytes || request.kind === "plain")
      return { kind: request.kind, isCommon: true, answer: async () => undefined };
    const { digest, size, number } = request;
    const answer =
      request.kind === "segment"
        ? async () => segmentOf(this.prefix, digest, bytes, size, number)
        : () => this.#list(name, digest, bytes, size, number);
    return { kind: request.kind, isCommon: true, answer };
  }

  /** A pointer that answers this name, signed now. */
  async signed(name: Name, target: PointerTarget, signer: Signer = this.identity.signer): Promise<Buffer | undefined> {
    const said = this.#said.get(nameKey(pointerName(this.prefix, target))) ?? "silence";
    if (said === "silence") return undefined;
    if (said === "absent")
      return this.#sign(name, { contentType: contentTypes.Nack, freshnessMs: 1000, content: Buffer.alloc(0) }, signer);
    const { bytes, mediaType, change } = said;
    const content = encodePointer(this.prefix, {
      digest: digestOfBytes(bytes),
      sizeBytes: bytes.length,
      segmentBytes: 8192,
      mediaType,
      maxAgeMs: 600_000,
      asOfMs: Date.now() + this.clockAheadMs,
      ...(bytes.length <= this.inlineUpTo && { inline: bytes }),
      ...change,
    });
    return this.#sign(
      name,
      { contentType: contentTypes.Blob, freshnessMs: 2000, content, finalBlockIsLast: true },
      signer,
    );
  }

  async #metadata(name: Name, repository: string, digest: Digest): Promise<Buffer> {
    const sizeBytes = this.#blobs.get(nameKey(metadataName(this.prefix, repository, digest)));
    if (sizeBytes === undefined)
      return this.#sign(name, { contentType: contentTypes.Nack, freshnessMs: 1000, content: Buffer.alloc(0) });
    const content = encodeMetadata({
      name: objectName(this.prefix, digest, 8192),
      lastSegment: lastSegmentOf(sizeBytes, 8192),
      segmentBytes: 8192,
      sizeBytes,
    });
    return this.#sign(name, { contentType: contentTypes.Blob, freshnessMs: 60_000, content, finalBlockIsLast: true });
  }

  async #sign(
    name: Name,
    data: Parameters<typeof encodeSignedData>[1],
    signer: Signer = this.identity.signer,
  ): Promise<Buffer> {
    this.#version = Math.max(this.#version + 1, Date.now() * 1000);
    const packet = new Data(
      new NdnName(joinName(name, version(this.#version), segment(0))),
      Data.ContentType(data.contentType),
      Data.FreshnessPeriod(data.freshnessMs),
      data.content,
    );
    if (data.finalBlockIsLast) packet.isFinalBlock = true;
    packet.sigInfo = new SigInfo(SigInfo.Time(Date.now() + this.clockAheadMs));
    await signer.sign(packet);
    return Buffer.from(Encoder.encode(packet));
  }

  #list(name: Name, digest: Digest, bytes: Buffer, size: 8192 | 1200, number: number): Promise<Buffer> {
    const { start, end } = digestListRange(number, lastSegmentOf(bytes.length, size));
    const digests = Array.from({ length: end - start }, (_, i) =>
      createHash("sha256")
        .update(segmentOf(this.prefix, digest, bytes, size, start + i))
        .digest(),
    );
    const data = { contentType: contentTypes.Manifest, freshnessMs: 3_600_000, content: Buffer.concat(digests) };
    return encodeSignedData(name, data, this.identity.signer);
  }
}

function segmentOf(prefix: Name, digest: Digest, bytes: Buffer, size: 8192 | 1200, n: number): Buffer {
  const encoder = objectEncoder(objectName(prefix, digest, size), bytes.length, size);
  const [start, end] = [n * size, Math.min(bytes.length, (n + 1) * size)];
  const packet = Buffer.alloc(encoder.sizeof(n, end - start));
  encoder.write(packet, 0, n, bytes, start, end);
  return packet;
}
