/**
 * The plan of a block: from what each next bytes of the tar are made, and which bytes of the base its dictionaries are. Numbers
 * of one kind are side by side (in columns), where zstd finds what they have in common.
 */
import { ByteCursor, ByteWriter } from "./byte-coding.ts";
import { DeltaError } from "./delta-error.ts";
import { checkRange, decodeDictionaries, encodeDictionaries, type Range } from "./ranges.ts";

/** The next `length` bytes of the tar, at least one. */
export type Operation =
  /** are those of the base from `start` on. */
  | { readonly kind: "copy"; readonly start: number; readonly length: number }
  /** are the next ones of the block's headers. */
  | { readonly kind: "header"; readonly length: number }
  /** are the next ones of a part's contents. */
  | { readonly kind: "content"; readonly part: number; readonly length: number }
  /** are those of the base from `start` on plus, byte by byte and modulo 256, a part's next differences. */
  | { readonly kind: "difference"; readonly part: number; readonly start: number; readonly length: number };

export interface Plan {
  /** What the block's headers are packed with. */
  readonly headerDictionary: readonly Range[];
  /** What each part's contents are packed with. */
  readonly partDictionaries: readonly (readonly Range[])[];
  readonly operations: Iterable<Operation>;
}

/** Their positions are what they are called in the format. */
const kinds = ["copy", "header", "content", "difference"] as const;

export function encodePlan(plan: Plan): Uint8Array {
  const dictionaries = encodeDictionaries([plan.headerDictionary, ...plan.partDictionaries]);
  const columns = [...dictionaries, ...encodeOperations(plan.operations)];
  const all = new ByteWriter();
  for (const column of columns) {
    all.unsigned(column.length);
    all.bytes(column.written());
  }
  return all.written();
}

function encodeOperations(operations: Iterable<Operation>): ByteWriter[] {
  const [kindColumn, gaps, parts] = [new ByteWriter(), new ByteWriter(), new ByteWriter()];
  const lengths = kinds.map(() => new ByteWriter());
  let [baseEnd, lastPart] = [0, 0];
  for (const operation of operations) {
    const kind = kinds.indexOf(operation.kind);
    kindColumn.byte(kind);
    lengths[kind]!.unsigned(operation.length);
    if ("start" in operation) {
      gaps.signed(operation.start - baseEnd);
      baseEnd = operation.start + operation.length;
    }
    if ("part" in operation) {
      parts.signed(operation.part - lastPart);
      lastPart = operation.part;
    }
  }
  return [kindColumn, gaps, parts, ...lengths];
}

/** @throws DeltaError for what is no plan of a block of so many parts; operations are checked when their turn comes. */
export function decodePlan(bytes: Uint8Array, partCount: number, baseBytes: number): Plan {
  const all = new ByteCursor(bytes);
  const column = () => new ByteCursor(all.bytes(all.unsigned()));
  const [headerDictionary, ...partDictionaries] = decodeDictionaries(column, 1 + partCount, baseBytes);
  const columns: Columns = { kinds: column(), gaps: column(), parts: column(), lengths: kinds.map(column) };
  const operations = decodeOperations(columns, partCount, baseBytes);
  return { headerDictionary: headerDictionary!, partDictionaries, operations };
}

interface Columns {
  readonly kinds: ByteCursor;
  readonly gaps: ByteCursor;
  readonly parts: ByteCursor;
  readonly lengths: readonly ByteCursor[];
}

function* decodeOperations(columns: Columns, partCount: number, baseBytes: number): Generator<Operation> {
  let [baseEnd, lastPart] = [0, 0];
  const nextStart = (length: number) => {
    const start = baseEnd + columns.gaps.signed();
    baseEnd = start + length;
    checkRange(start, baseEnd, baseBytes);
    return start;
  };
  const nextPart = () => {
    lastPart += columns.parts.signed();
    if (!(lastPart >= 0 && lastPart < partCount)) throw new DeltaError(`part ${lastPart} of ${partCount} is named`);
    return lastPart;
  };
  while (!columns.kinds.isAtEnd) {
    const number = columns.kinds.byte();
    const kind = kinds[number];
    if (kind === undefined) throw new DeltaError(`operation ${number} is unknown`);
    const length = columns.lengths[number]!.unsigned();
    if (length === 0) throw new DeltaError("an operation makes no byte");
    if (kind === "copy") yield { kind, start: nextStart(length), length };
    else if (kind === "header") yield { kind, length };
    else if (kind === "content") yield { kind, part: nextPart(), length };
    else yield { kind, part: nextPart(), start: nextStart(length), length };
  }
}
