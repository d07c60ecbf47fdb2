/** Tars made block by block, so that a test decides on each field. */

export interface BuiltEntry {
  readonly name: string;
  readonly content?: Uint8Array;
  /** @defaultValue "0" */
  readonly type?: string;
  /** Where it is to differ from the content's. */
  readonly sizeField?: string | Uint8Array;
  readonly mtime?: number;
  readonly mode?: number;
  readonly link?: string;
  /** Of ustar. */
  readonly prefix?: string;
  /** Fields to overwrite before the checksum is made: position and bytes. */
  readonly fields?: readonly (readonly [number, Uint8Array])[];
  /** Without a magic, as before POSIX. */
  readonly isV7?: boolean;
}

/** A whole tar with the two blocks of its end. */
export function buildTar(entries: readonly BuiltEntry[]): Uint8Array {
  return Buffer.concat([...entries.map(buildEntry), Buffer.alloc(1024)]);
}

/** Header, content and padding. */
export function buildEntry(entry: BuiltEntry): Uint8Array {
  const content = entry.content ?? new Uint8Array();
  return Buffer.concat([buildHeader(entry), content, Buffer.alloc(-content.length & 511)]);
}

/** Records of a pax extended header, for an entry of the type `x` or `g`. */
export function paxRecords(records: Readonly<Record<string, string>>): Uint8Array {
  return Buffer.concat(Object.entries(records).map(([key, value]) => paxRecord(key, value)));
}

function paxRecord(key: string, value: string): Buffer {
  const rest = Buffer.from(` ${key}=${value}\n`);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length++;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function buildHeader(entry: BuiltEntry): Buffer {
  const block = Buffer.alloc(512);
  block.write(entry.name, 0, 100, "latin1");
  block.write(octal(entry.mode ?? 0o644, 7), 100, "latin1");
  block.write(octal(0, 7), 108, "latin1");
  block.write(octal(0, 7), 116, "latin1");
  putSize(block, entry);
  block.write(octal(entry.mtime ?? 1_764_200_000, 11), 136, "latin1");
  block.write(entry.type ?? "0", 156, "latin1");
  block.write(entry.link ?? "", 157, 100, "latin1");
  if (!entry.isV7) block.write("ustar\x0000", 257, "latin1");
  block.write(entry.prefix ?? "", 345, 155, "latin1");
  for (const [at, bytes] of entry.fields ?? []) block.set(bytes, at);
  putChecksum(block);
  return block;
}

function putSize(block: Buffer, { sizeField, content }: BuiltEntry): void {
  if (sizeField instanceof Uint8Array) block.set(sizeField, 124);
  else block.write(sizeField ?? octal(content?.length ?? 0, 11), 124, "latin1");
}

function putChecksum(block: Buffer): void {
  block.fill(0x20, 148, 156);
  const sum = block.reduce((all, byte) => all + byte, 0);
  block.write(`${octal(sum, 6)}\0 `, 148, "latin1");
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, "0");
}
