/**
 * What is being pushed through here: one line in the log for each image, and for each push that was refused.
 */
import { LRUCache } from "lru-cache";
import type { Logger } from "pino";
import { imageOf } from "./image-lines.ts";
import type { PullKey } from "./pull-view.ts";
import { refusalReason } from "./reasons.ts";

/** A write that was answered: of a blob, or of a manifest, which has a reference. */
export interface PushAnswer extends PullKey {
  /** Tag or digest of the manifest. */
  readonly reference?: string | undefined;
  /** Undefined when the registry did not answer. */
  readonly status: number | undefined;
}

/** An image while it is being pushed. */
interface Push {
  readonly beganMs: number;
  reference: string | undefined;
  /** Status of the last write, if it was refused; 0 for no answer. */
  refused: number | undefined;
  timer: NodeJS.Timeout | undefined;
}

const maxPushes = 100;
/** A challenge is answered, and a manifest by digest followed by that of its index, within this time. */
const quietMs = 5_000;

/** Groups writes into pushes: same puller, same repository, up to the manifest that has a tag. */
export class PushLog {
  readonly #log: Pick<Logger, "info" | "warn">;
  readonly #pushes = new LRUCache<string, Push>({ max: maxPushes, dispose: ({ timer }) => clearTimeout(timer) });

  constructor(log: Pick<Logger, "info" | "warn">) {
    this.#log = log;
  }

  answered({ reference, status = 0, ...key }: PushAnswer): void {
    const id = `${key.client} ${key.registry} ${key.repository}`;
    const push = this.#pushes.get(id) ?? {
      beganMs: performance.now(),
      reference: undefined,
      refused: undefined,
      timer: undefined,
    };
    this.#pushes.set(id, push, { noDisposeOnSet: true });
    clearTimeout(push.timer);
    const isTaken = status >= 200 && status < 400;
    push.refused = isTaken ? undefined : status;
    if (reference !== undefined) push.reference = reference;
    const end = () => this.#end(id, key, push);
    if (isTaken && reference !== undefined && !reference.includes(":")) end();
    else if (!isTaken || push.reference !== undefined) push.timer = setTimeout(end, quietMs).unref();
  }

  /** No more is pushed. */
  close(): void {
    this.#pushes.clear();
  }

  #end(id: string, key: PullKey, { beganMs, reference, refused }: Push): void {
    this.#pushes.delete(id);
    const image = imageOf(key, reference ?? null);
    const fields = { image, client: key.client, ms: Math.round(performance.now() - beganMs) };
    if (refused === undefined) this.#log.info(fields, "image pushed");
    else this.#log.warn({ ...fields, reason: refusedWhy(refused) }, "push refused");
  }
}

function refusedWhy(status: number): string {
  if (status === 0) return "the registry does not answer";
  if (status === 404) return "the registry does not take it (404): is the repository there?";
  return status >= 500 ? `the registry fails (${status})` : refusalReason(status);
}
