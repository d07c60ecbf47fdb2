/**
 * Reads pointers, and decides which are believed. A signature says who has said something, not that it still holds: a
 * cache may have an old pointer, or replay one. So one that is old, or older than what is known, is asked for past all
 * caches; what is made for that question is believed whatever the clocks say (PROTOCOL.md § Pointers).
 */
import { findCause } from "#base/errors.ts";
import { raceAbort } from "#base/waiting.ts";
import { decodePointer, maxManifestBytes, maxSnapshotBytes, type Pointer } from "#blob/pointer.ts";
import { type PointerTarget, pointerName } from "#blob/pointer-names.ts";
import { snapshotTypes } from "#blob/snapshots.ts";
import { contentTypes } from "#ndn/packet/data.ts";
import { formatName, type Name, nameKey } from "#ndn/packet/name.ts";
import { readKeyReference } from "#ndn/trust/certificate.ts";
import { Untrusted } from "#ndn/trust/errors.ts";
import type { SignedData } from "#ndn/trust/signed-data.ts";
import type { Digest } from "#oci/reference.ts";
import { NoAnswer, type SignedObjects } from "#uplinks/signed-objects.ts";
import type { ClockOffsets } from "./clock-offsets.ts";
import type { PointerMemory } from "./pointer-memory.ts";

/** What a reader of one registry's pointers uses. */
export interface PointerReaderOptions {
  readonly objects: SignedObjects;
  readonly memory: PointerMemory;
  readonly clocks: ClockOffsets;
  /** What was signed longer ago is asked for past caches, also where the server allows more. */
  readonly maxAgeMs: number;
}

/** What a signed packet says, when it said so, and how long that may be relied on. */
export interface Word<T> {
  /** Undefined: it is not there. */
  readonly value: T | undefined;
  readonly digest: Digest | undefined;
  readonly timeMs: number;
  readonly maxAgeMs: number;
}

/** Servers may be so far ahead of this machine without a question past caches. */
const toleratedMs = 1_000;
/** How long "it is not there" holds. */
const absentMs = 60_000;
/** A HEAD and the GET that follows it are one question; a moved tag is seen as much later. */
const holdMs = 250;
/** Questions at a time, those that are held among them. */
const maxHeld = 1_000;
/** How long one is waited for in all: others may be waiting for it who came later. */
const longestMs = 30_000;

/** Of one registry. */
export class PointerReader {
  readonly #options: PointerReaderOptions;
  readonly #held = new Map<string, Promise<Pointer | undefined>>();

  constructor(options: PointerReaderOptions) {
    this.#options = options;
  }

  /**
   * What a pointer says now; the same question at the same time is asked once.
   *
   * @returns Undefined when the server says that there is nothing.
   * @throws NoAnswer when no one says what can be believed; the signal's reason
   */
  async read(target: PointerTarget, signal: AbortSignal): Promise<Pointer | undefined> {
    signal.throwIfAborted();
    const name = pointerName(this.#options.objects.prefix, target);
    const key = nameKey(name);
    return raceAbort(this.#held.get(key) ?? this.#hold(key, this.#ask(name, target)), signal);
  }

  /** The same past all caches: what was said before leads nowhere. */
  async readAgain(target: PointerTarget, signal: AbortSignal): Promise<Pointer | undefined> {
    const { prefix } = this.#options.objects;
    const name = pointerName(prefix, target);
    return askPastCaches(this.#options, name, (data) => wordOf(prefix, target, data), signal);
  }

  #ask(name: Name, target: PointerTarget): Promise<Pointer | undefined> {
    const read = (data: SignedData) => wordOf(this.#options.objects.prefix, target, data);
    // What a digest means does not change: the server alone says for how long it may be relied on that it is there.
    const maxAgeMs = target.kind === "manifest" ? Number.POSITIVE_INFINITY : this.#options.maxAgeMs;
    return askUntilBelieved({ ...this.#options, maxAgeMs }, name, read, AbortSignal.timeout(longestMs));
  }

  #hold(key: string, answer: Promise<Pointer | undefined>): Promise<Pointer | undefined> {
    if (this.#held.size >= maxHeld) {
      answer.catch(() => {}); // the caller hears of it
      return answer;
    }
    this.#held.set(key, answer);
    const forget = () => void this.#held.delete(key);
    answer.then(() => setTimeout(forget, holdMs).unref(), forget);
    return answer;
  }
}

/** What deciding takes; without a memory only the age decides. */
type Judging = Pick<PointerReaderOptions, "objects" | "clocks" | "maxAgeMs"> & { readonly memory?: PointerMemory };

/**
 * Ask for a signed packet until one is believed: once as anyone does, and once past all caches.
 *
 * @param read - What a packet says; undefined when it breaks a rule.
 * @throws NoAnswer
 */
export async function askUntilBelieved<T>(
  judging: Judging,
  name: Name,
  read: (data: SignedData) => Word<T> | undefined,
  signal: AbortSignal,
): Promise<T | undefined> {
  const common = await judging.objects.ask(name, false, signal).catch((err: unknown) => {
    if (!findCause(err, Untrusted)) throw err;
    return undefined; // forged, by a cache perhaps
  });
  const word = common && read(common);
  if (!common || !word || !isBelieved(judging, name, keyOf(common), word)) {
    return askPastCaches(judging, name, read, signal);
  }
  remember(judging, name, common, word);
  return word.value;
}

async function askPastCaches<T>(
  judging: Judging,
  name: Name,
  read: (data: SignedData) => Word<T> | undefined,
  signal: AbortSignal,
): Promise<T | undefined> {
  const data = await judging.objects.ask(name, true, signal);
  const word = read(data);
  if (!word) throw new NoAnswer(`what the server says of ${formatName(name)} breaks the wire contract`);
  const { timeMs } = data.signature;
  if (timeMs !== undefined) judging.clocks.saw(keyOf(data), timeMs);
  judging.memory?.set(name, keyOf(data), word);
  return word.value;
}

/** Whether what any cache may have sent still holds, as far as can be told. */
function isBelieved(
  { clocks, memory, maxAgeMs }: Judging,
  name: Name,
  key: Name,
  { timeMs, digest, maxAgeMs: itsMaxAgeMs }: Word<unknown>,
): boolean {
  const ageMs = clocks.nowAt(key) - timeMs;
  if (ageMs > Math.min(itsMaxAgeMs, maxAgeMs) || ageMs < -toleratedMs) return false;
  const last = memory?.get(name, key);
  return last === undefined || timeMs > last.timeMs || digest === last.digest;
}

function remember({ memory }: Judging, name: Name, data: SignedData, { timeMs, digest }: Word<unknown>): void {
  const last = memory?.get(name, keyOf(data));
  if (!last || timeMs > last.timeMs) memory?.set(name, keyOf(data), { timeMs, digest });
}

function wordOf(prefix: Name, target: PointerTarget, data: SignedData): Word<Pointer> | undefined {
  const absent = absentIn(data);
  if (absent) return absent;
  const pointer = data.contentType === contentTypes.Blob ? decodePointer(prefix, data.content) : undefined;
  if (!pointer || !isAbout(target, pointer)) return undefined;
  const { digest, asOfMs: timeMs, maxAgeMs } = pointer;
  return { value: pointer, digest, timeMs, maxAgeMs };
}

/** What a negative answer says; undefined for every other packet, and for one that does not say when it was signed. */
export function absentIn({ contentType, signature: { timeMs } }: SignedData): Word<never> | undefined {
  if (contentType !== contentTypes.Nack || timeMs === undefined) return undefined;
  return { value: undefined, digest: undefined, timeMs, maxAgeMs: absentMs };
}

/** Whether a pointer can be the answer to this question. */
function isAbout(target: PointerTarget, { digest, mediaType, sizeBytes }: Pointer): boolean {
  if (target.kind === "tag") return sizeBytes <= maxManifestBytes;
  if (target.kind === "manifest") return digest === target.digest && sizeBytes <= maxManifestBytes;
  return mediaType === snapshotTypes[target.kind] && sizeBytes <= maxSnapshotBytes;
}

/** Whose word it is: the key, whichever certificate of it is named. */
function keyOf({ signature: { keyLocator } }: SignedData): Name {
  const locator = keyLocator ?? Buffer.alloc(0);
  return readKeyReference(locator)?.keyName ?? locator;
}
