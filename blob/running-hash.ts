/**
 * The sha256 of a blob while its bytes pass.
 *
 * Hot path: hashing 100 MB takes some 75 ms, a third of what the main thread of a client does for a cold blob. Bytes in
 * shared memory, as they come over NDN, are hashed in another thread meanwhile, without being copied (`npm run bench`,
 * row "server, direct face, client").
 */
import { createHash, type Hash } from "node:crypto";
import { Worker } from "node:worker_threads";
import type { HashAnswer, HashTask } from "./hash-worker.ts";

/** A hash that goes on. */
export class RunningHash {
  private readonly local: Hash = createHash("sha256");
  private remote: { readonly thread: HashThread; readonly id: number } | undefined;
  private isEmpty = true;

  /**
   * Take in the next bytes; they must stay as they are until the result, if there is one, resolves.
   *
   * @param isLong - Whether there is enough to come for another thread to be worth it.
   */
  update(bytes: Uint8Array, isLong: boolean): Promise<unknown> | undefined {
    if (isLong && this.isEmpty && bytes.buffer instanceof SharedArrayBuffer) this.remote = begin();
    this.isEmpty = false;
    if (this.remote) return this.remote.thread.ask({ id: this.remote.id, bytes });
    this.local.update(bytes);
    return undefined;
  }

  /** Of all bytes so far; more may follow. */
  async digest(): Promise<Buffer> {
    if (!this.remote) return this.local.copy().digest();
    return Buffer.from((await this.remote.thread.ask({ id: this.remote.id, bytes: "digest" }))!);
  }

  /** Let go; to be called once. */
  end(): void {
    this.remote?.thread.tell({ id: this.remote.id, bytes: "end" });
  }
}

interface Asked {
  resolve(answer: HashAnswer): void;
  reject(reason: Error): void;
}

/** One thread for all blobs: it hashes faster than they come. Its answers come in the order of the questions. */
class HashThread {
  isAlive = true;
  isReady = false;
  private readonly worker = new Worker(new URL("./hash-worker.ts", import.meta.url));
  /** The first one is nobody's question: it hears that the thread is ready. */
  private readonly asked: Asked[] = [{ resolve: () => this.ready(), reject: () => {} }];

  constructor() {
    this.worker.unref(); // nobody waits for a process because of it
    this.worker.on("message", (answer: HashAnswer) => this.asked.shift()?.resolve(answer));
    this.worker.on("error", (err) => this.fail(err));
    this.worker.on("exit", () => this.fail(new Error("the hashing thread has ended")));
  }

  tell(task: HashTask): void {
    this.worker.postMessage(task);
  }

  ask(task: HashTask): Promise<HashAnswer> {
    if (!this.isAlive) return Promise.reject(new Error("the hashing thread has ended"));
    return new Promise((resolve, reject) => {
      this.asked.push({ resolve, reject });
      this.tell(task);
    });
  }

  private ready(): void {
    this.isReady = true;
  }

  private fail(reason: Error): void {
    this.isAlive = false;
    for (const { reject } of this.asked.splice(0)) reject(reason);
  }
}

let thread: HashThread | undefined;

let lastId = 0;

/** While the thread is still starting, a blob is hashed without it. */
function begin() {
  if (!thread?.isAlive) thread = new HashThread();
  return thread.isReady ? { thread, id: ++lastId } : undefined;
}
