/**
 * Signed lists of the digests of segments: computed from the blob, signed once, remembered in memory and on disk.
 */
import { LRUCache } from "lru-cache";
import { Semaphore } from "#base/limits.ts";
import { digestListName, digestListRange, maxDataBytes, objectName } from "#blob/names.ts";
import { contentTypes } from "#ndn/packet/data.ts";
import type { Name } from "#ndn/packet/name.ts";
import type { Signer } from "#ndn/trust/keychain.ts";
import { encodeSignedData, readSignedData } from "#ndn/trust/signed-data.ts";
import type { DigestListFiles, ListKey } from "./digest-list-files.ts";
import { digestBytes, digestsOf, type HashedSegments } from "./segment-digests.ts";

const freshnessMs = 3_600_000;
const uniqueFreshnessMs = 1_000;
/** Lists in memory: those of 32 GiB of blobs. */
const memoryBytes = 32 * 1024 * 1024;
/** A list reads up to 2 MB of a blob and hashes it. */
const computedAtOnce = 16;
/** To write the list of a smaller blob takes longer than to compute it anew. */
const storedSegmentsAtLeast = 32;
const maxWaiting = 64;

/** Where a list came from, for the metrics. */
export type ListOrigin = "memory" | "state" | "computed";

/** What lists are made of. */
export interface DigestListsOptions {
  readonly prefix: Name;
  readonly signer: Signer;
  /** What the signer puts into KeyLocator now: lists of another key are not used again. */
  readonly keyLocator: () => Name | undefined;
  /** Where lists outlive the process. */
  readonly files: DigestListFiles | undefined;
  /** Ends computing when the server stops. */
  readonly signal: AbortSignal;
  readonly onAnswer: (origin: ListOrigin) => void;
  /** Called once when lists have more bytes than a packet may have. */
  readonly onTooLarge: (sizeBytes: number) => void;
}

interface List extends ListKey {
  readonly name: Name;
  /** Segments `[start, end)`. */
  readonly start: number;
  readonly end: number;
}

/** Answers for digest lists of blobs that are open, so of which the registry has said that they are there. */
export class DigestLists {
  readonly #options: DigestListsOptions;
  #signer: Signer;
  readonly #memory = new LRUCache<string, Buffer>({
    maxSize: memoryBytes,
    sizeCalculation: (packet) => packet.length,
  });
  readonly #underWay = new Map<string, Promise<Buffer>>();
  readonly #computing = new Semaphore(computedAtOnce, maxWaiting);
  #wasTooLarge = false;

  constructor(options: DigestListsOptions) {
    this.#options = options;
    this.#signer = options.signer;
  }

  /** Sign with another key from now on: what was signed before is not sent again. */
  signWith(signer: Signer): void {
    this.#signer = signer;
    this.#memory.clear();
  }

  /**
   * The packet for all who ask.
   * @returns undefined when the blob has no such list.
   * @throws Error when the blob cannot be read now, or too many lists are asked for.
   */
  async answer(segments: HashedSegments, key: ListKey): Promise<Buffer | undefined> {
    const list = this.#describe(segments, key);
    if (list.start >= list.end) return undefined;
    const id = `${key.digest} ${key.size} ${key.number} ${list.end}`;
    const remembered = this.#memory.get(id);
    if (remembered) this.#options.onAnswer("memory");
    return remembered ?? this.#underWay.get(id) ?? this.#find(id, segments, list);
  }

  /** A packet for one Interest alone, whose name this is. */
  async answerUnique(asked: Name, segments: HashedSegments, key: ListKey): Promise<Buffer | undefined> {
    const packet = await this.answer(segments, key);
    return packet && this.#sign(asked, readSignedData(packet)!.content, uniqueFreshnessMs);
  }

  #describe(segments: HashedSegments, key: ListKey): List {
    const object = objectName(this.#options.prefix, key.digest, key.size);
    const range = digestListRange(key.number, segments.lastSegment);
    return { ...key, name: digestListName(object, key.number), ...range };
  }

  #find(id: string, segments: HashedSegments, list: List): Promise<Buffer> {
    const finding = this.#storedOrComputed(segments, list)
      .then((packet) => {
        this.#memory.set(id, packet);
        return packet;
      })
      .finally(() => this.#underWay.delete(id));
    this.#underWay.set(id, finding);
    return finding;
  }

  async #storedOrComputed(segments: HashedSegments, list: List): Promise<Buffer> {
    const { files, onAnswer } = this.#options;
    const stored = await files?.read(list);
    if (stored && this.#isRight(stored, list)) {
      onAnswer("state");
      return stored;
    }
    const packet = await this.#computing.run(() => this.#compute(segments, list));
    if (segments.lastSegment + 1 >= storedSegmentsAtLeast) files?.write(list, packet);
    onAnswer("computed");
    return packet;
  }

  async #compute(segments: HashedSegments, { name, start, end }: List): Promise<Buffer> {
    return this.#sign(name, await digestsOf(segments, start, end, this.#options.signal), freshnessMs);
  }

  async #sign(name: Name, content: Buffer, freshMs: number): Promise<Buffer> {
    const options = { contentType: contentTypes.Manifest, freshnessMs: freshMs, content };
    const packet = await encodeSignedData(name, options, this.#signer);
    if (packet.length <= maxDataBytes) return packet;
    if (!this.#wasTooLarge) this.#options.onTooLarge(packet.length);
    this.#wasTooLarge = true;
    throw new Error(`a digest list would have ${packet.length} bytes`);
  }

  /** Whether a packet from the disk is this list, made with the present key. */
  #isRight(packet: Buffer, { name, start, end }: List): boolean {
    const data = readSignedData(packet);
    if (data === undefined) return false;
    const keyLocator = this.#options.keyLocator();
    const locator = data.signature.keyLocator;
    const isOurKey = keyLocator === undefined ? locator === undefined : locator?.equals(keyLocator) === true;
    const isThisList = data.contentType === contentTypes.Manifest && data.name.equals(name);
    return isOurKey && isThisList && data.content.length === (end - start) * digestBytes;
  }
}
