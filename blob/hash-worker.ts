/**
 * The thread in which blobs are hashed as a whole, while the main thread moves their bytes.
 */
import { createHash, type Hash } from "node:crypto";
import { parentPort } from "node:worker_threads";

/** What is to be done with the hash `id`; each but `end` is answered, in order. */
export type HashTask =
  | { readonly id: number; readonly bytes: Uint8Array }
  | { readonly id: number; readonly bytes: "digest" | "end" };

/**
 * Of an update, when the bytes may be used again; of `digest`, the sha256 of all bytes so far. One comes unasked: the
 * thread is ready.
 */
export type HashAnswer = Uint8Array | undefined;

const hashes = new Map<number, Hash>();

parentPort?.on("message", ({ id, bytes }: HashTask) => {
  if (bytes === "end") {
    hashes.delete(id);
    return;
  }
  const hash = hashes.get(id) ?? createHash("sha256");
  hashes.set(id, hash);
  const answer: HashAnswer = bytes === "digest" ? hash.copy().digest() : undefined;
  if (bytes !== "digest") hash.update(bytes);
  parentPort?.postMessage(answer);
});

parentPort?.postMessage(undefined);
