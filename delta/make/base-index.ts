/**
 * The files of a base, and which of them another file is best made from: one of the same bytes; else of the same path; of the
 * same path without version numbers; of similar content.
 */
import { createHash } from "node:crypto";
import type { Range } from "../format/ranges.ts";
import { piecesOf, type RandomReader } from "../random-reader.ts";
import { type TarMember, tarMembers } from "../tar/tar-members.ts";
import { SketchIndex, sketchOf } from "./sketch.ts";

/** What a file has in common with one of the base. */
export interface Counterpart {
  readonly member: TarMember;
  readonly isSame: boolean;
}

/** Built by one pass over the base, and by another one if a file is to be found by its content. */
export class BaseIndex {
  readonly #base: RandomReader;
  readonly #members: TarMember[];
  readonly #byHash = new Map<string, TarMember>();
  readonly #byName = new Map<string, TarMember>();
  readonly #byBareName = new Map<string, TarMember[]>();
  #byContent: SketchIndex | undefined;

  constructor(base: RandomReader) {
    this.#base = base;
    this.#members = [...tarMembers(base)];
    for (const member of this.#members) this.#add(member);
  }

  /** The file of the base that `member` of `target` is best made from; undefined when there is none. */
  counterpartOf(member: TarMember, target: RandomReader): Counterpart | undefined {
    if (member.start === member.end) return this.#trailerFor(member);
    const same = this.#byHash.get(hashOf(target, member));
    if (same) return { member: same, isSame: true };
    const similar = this.#byName.get(member.name) ?? this.#nearestVersion(member) ?? this.#mostLike(member, target);
    return similar && { member: similar, isSame: false };
  }

  #add(member: TarMember): void {
    if (member.start === member.end) return;
    this.#byHash.set(hashOf(this.#base, member), member);
    this.#byName.set(member.name, member);
    const bare = withoutVersions(member.name);
    const others = this.#byBareName.get(bare);
    if (others === undefined) this.#byBareName.set(bare, [member]);
    else if (others.length < maxVersions) others.push(member);
  }

  /** What is behind the last file. */
  #trailerFor(member: TarMember): Counterpart | undefined {
    const last = this.#members.at(-1);
    return last && last.start === last.end && member.name === "" ? { member: last, isSame: true } : undefined;
  }

  /** Of several versions the one whose size is nearest. */
  #nearestVersion(member: TarMember): TarMember | undefined {
    const sizeBytes = member.end - member.start;
    const distance = ({ start, end }: Range) => Math.abs(end - start - sizeBytes);
    const versions = this.#byBareName.get(withoutVersions(member.name)) ?? [];
    return versions.toSorted((a, b) => distance(a) - distance(b))[0];
  }

  #mostLike(member: TarMember, target: RandomReader): TarMember | undefined {
    this.#byContent ??= this.#sketchAll();
    const found = this.#byContent.mostLike(sketchOf(target, member));
    return found === undefined ? undefined : this.#members[found];
  }

  #sketchAll(): SketchIndex {
    const index = new SketchIndex();
    for (const [number, member] of this.#members.entries()) index.add(sketchOf(this.#base, member), number);
    return index;
  }
}

/** Files that differ by version numbers only; there are few, except where numbers are what names files. */
const maxVersions = 32;

/** `numpy-1.26.3.dist-info/RECORD` and `numpy-1.26.4.dist-info/RECORD` are versions of the same. */
function withoutVersions(name: string): string {
  return name.replace(/\d+(\.\d+)*([-.]\w+)?/g, "#");
}

function hashOf(reader: RandomReader, { start, end }: Range): string {
  const hash = createHash("sha256");
  for (const piece of piecesOf(reader, start, end)) hash.update(piece);
  return hash.digest("base64");
}
