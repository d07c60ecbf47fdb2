/**
 * Where zstd frames end. Node's decompressor loses what is behind a frame in the same write, but goes on with a frame that
 * begins a write; layers made to be read in parts (zstd:chunked) have a frame for each file.
 */

/** The same bytes, in pieces that end where a frame does. What is no frame is passed on as it is. */
export async function* endingWithFrames(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const walk = frames();
  let step = nextStep(walk);
  for await (const piece of pieces) {
    let start = 0;
    for (let at = 0; at < piece.length; ) {
      const count = Math.min(step.left, piece.length - at);
      if (step.field) for (const byte of piece.subarray(at, at + count)) step.field.push(byte);
      step.left -= count;
      at += count;
      while (step.left === 0) {
        const isEnd = step.isEnd;
        step = nextStep(walk, step.field);
        if (!isEnd) continue;
        yield piece.subarray(start, at);
        start = at;
      }
    }
    if (start < piece.length) yield piece.subarray(start);
  }
}

/** What comes next in a frame: a field of so many bytes that is to be read, or bytes that are passed over. */
interface Step {
  left: number;
  readonly field: number[] | undefined;
  /** Whether the frame ends with it. */
  readonly isEnd: boolean;
}

type Wanted = { readonly read: number } | { readonly pass: number; readonly isEnd: boolean };

function nextStep(walk: Generator<Wanted, never, number>, field: readonly number[] = []): Step {
  // Little-endian, of up to five bytes.
  const { value } = walk.next(field.reduceRight((sum, byte) => sum * 256 + byte, 0));
  return "read" in value
    ? { left: value.read, field: [], isEnd: false }
    : { left: value.pass, field: undefined, isEnd: value.isEnd };
}

/** RFC 8878 § 3.1: frames one after the other; yields are given the number that was read. */
function* frames(): Generator<Wanted, never, number> {
  for (;;) {
    const magic = yield { read: 4 };
    if (magic === 0xfd2fb528) yield* frame();
    else if (magic >= 0x184d2a50 && magic <= 0x184d2a5f) yield { pass: yield { read: 4 }, isEnd: true };
    else yield { pass: Number.POSITIVE_INFINITY, isEnd: false }; // the decompressor says what is wrong
  }
}

function* frame(): Generator<Wanted, void, number> {
  const descriptor = yield { read: 1 };
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  yield { pass: dictionaryBytes + sizeBytes + (isSingleSegment ? 0 : 1), isEnd: false };
  const checksumBytes = descriptor & 4;
  for (let isLast = false; !isLast; ) {
    const header = yield { read: 3 };
    isLast = (header & 1) === 1;
    const isRepeated = ((header >> 1) & 3) === 1;
    const blockBytes = isRepeated ? 1 : header >> 3;
    yield { pass: blockBytes + (isLast ? checksumBytes : 0), isEnd: isLast };
  }
}
