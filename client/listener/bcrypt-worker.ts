/**
 * The thread in which passwords are compared, so that logins do not stop the blobs.
 */
import { parentPort } from "node:worker_threads";
import { compareSync } from "bcryptjs";

/** A password and the hash it should have. */
export interface Comparison {
  readonly id: number;
  readonly password: string;
  readonly hash: string;
}

/** Whether it has. */
export interface Compared {
  readonly id: number;
  readonly isEqual: boolean;
}

parentPort?.on("message", ({ id, password, hash }: Comparison) => {
  parentPort?.postMessage({ id, isEqual: compareSync(password, hash) } satisfies Compared);
});
