import { readdirSync, readFileSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { DeltaThread } from "#delta/delta-thread.ts";
import { DeltaError } from "#delta/format/delta-error.ts";
import { randomBytesOf } from "#test/support/random-bytes.ts";
import { makeTemporaryFolder, type TemporaryFolder } from "#test/support/tmp.ts";
import { until } from "#test/support/until.ts";
import { idOf } from "./deltas.ts";
import { buildTar } from "./tar-builder.ts";

const tarWith = (content: Uint8Array) => buildTar([{ name: "file", content }]);
const before = tarWith(randomBytesOf("content", 300_000));
const after = tarWith(Buffer.concat([randomBytesOf("content", 300_000), Buffer.from("more")]));
const forever = new AbortController().signal;
const noBound = Number.MAX_SAFE_INTEGER;

async function fileOf(folder: TemporaryFolder, name: string, bytes: Uint8Array): Promise<FileHandle> {
  const file = await open(join(folder.path, name), "w+");
  await file.writeFile(bytes);
  return file;
}

/** Files with both tars, and two empty ones. */
async function files(own: AsyncDisposableStack, tars: readonly [Uint8Array, Uint8Array] = [before, after]) {
  const folder = own.use(await makeTemporaryFolder());
  const file = async (name: string, bytes: Uint8Array) => own.use(await fileOf(folder, name, bytes));
  const [base, target] = [await file("base", tars[0]), await file("target", tars[1])];
  return {
    base: { fd: base.fd, sha256: idOf(tars[0]).sha256 },
    target: { fd: target.fd, sha256: idOf(tars[1]).sha256 },
    delta: await file("delta", new Uint8Array()),
    out: await file("out", new Uint8Array()),
    folder,
  };
}

test("a thread makes a delta in a file, and applies it", async () => {
  await using own = new AsyncDisposableStack();
  const { base, target, delta, out, folder } = await files(own);
  const thread = new DeltaThread(1);
  const bytes = await thread.make(base, target, delta.fd, noBound, forever);
  expect(bytes).toBe((await delta.stat()).size);
  await thread.apply(base, delta.fd, idOf(after), out.fd, forever);
  expect(readFileSync(join(folder.path, "out")).equals(after)).toBe(true);
});

test("a delta that is larger than it may be is given up", async () => {
  await using own = new AsyncDisposableStack();
  const { base, target, delta } = await files(own);
  await expect(new DeltaThread(1).make(base, target, delta.fd, 100, forever)).rejects.toThrow(DeltaError);
});

test("a delta for another base is an error of the delta", async () => {
  await using own = new AsyncDisposableStack();
  const { base, target, delta, out } = await files(own);
  const thread = new DeltaThread(1);
  await thread.make(base, target, delta.fd, noBound, forever);
  await expect(thread.apply(target, delta.fd, idOf(after), out.fd, forever)).rejects.toThrow(DeltaError);
});

test("a file that cannot be written is no error of the delta", async () => {
  await using own = new AsyncDisposableStack();
  const { base, target, folder } = await files(own);
  const readOnly = own.use(await open(join(folder.path, "delta"), "r"));
  const failed = await new DeltaThread(1)
    .make(base, target, readOnly.fd, noBound, forever)
    .catch((err: unknown) => err);
  expect(failed).toMatchObject({ code: "EBADF" });
  expect(failed).not.toBeInstanceOf(DeltaError);
});

/** Some seconds of work. */
const longWork = [tarWith(randomBytesOf("a", 16 << 20)), tarWith(randomBytesOf("b", 40 << 20))] as const;

/** Threads of this process that have the lowest priority. */
function lowThreads(): number {
  const niceness = readdirSync("/proc/self/task").map((thread) => {
    const stat = readFileSync(`/proc/self/task/${thread}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]); // proc_pid_stat(5)
  });
  return niceness.filter((nice) => nice === 19).length;
}

test.skipIf(process.platform !== "linux")(
  "work is done at the lowest priority, and ends when it is called off",
  { timeout: 60_000 },
  async () => {
    await using own = new AsyncDisposableStack();
    const { base, target, delta } = await files(own, longWork);
    const [thread, caller] = [new DeltaThread(1), new AbortController()];
    const usual = lowThreads();
    const made = thread.make(base, target, delta.fd, noBound, caller.signal).catch((err: unknown) => err);
    await until("a thread of low priority", () => lowThreads() > usual);
    const waiting = thread.make(base, target, delta.fd, noBound, caller.signal).catch((err: unknown) => err);
    await expect(thread.make(base, target, delta.fd, noBound, forever)).rejects.toThrow(/wait/);
    caller.abort(new Error("called off"));
    expect(await Promise.all([made, waiting])).toEqual([new Error("called off"), new Error("called off")]);
    await until("the end of the thread", () => lowThreads() === usual);
  },
);
