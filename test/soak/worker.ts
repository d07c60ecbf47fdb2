/**
 * Runs inside a namespace and does there what the soak asks for: pulls, pushes, reads of a page. One line of JSON in,
 * one line of JSON out, several at a time.
 */
import { createInterface } from "node:readline";
import { type Pull, type PullOptions, pull } from "#test/fault/pull.ts";
import { getText } from "#test/fault/rig.ts";
import { pushBlob } from "#test/support/oci-push.ts";
import { randomBytesOf } from "#test/support/random-bytes.ts";

/** What a worker is asked. */
export type Work =
  | { readonly kind: "pull"; readonly url: string; readonly digest: string; readonly options: PullOptions }
  | {
      readonly kind: "push";
      readonly registry: string;
      readonly repository: string;
      readonly seed: string;
      readonly bytes: number;
    }
  | { readonly kind: "text"; readonly url: string };

/** What it answers to each. */
export interface WorkDone {
  readonly pull?: Pull;
  readonly digest?: string;
  readonly text?: string;
  readonly error?: string;
}

async function work(what: Work): Promise<WorkDone> {
  switch (what.kind) {
    case "pull":
      return { pull: await pull(what.url, what.digest, what.options) };
    case "push":
      return { digest: (await pushBlob(what.registry, what.repository, randomBytesOf(what.seed, what.bytes))).digest };
    case "text":
      return { text: await getText(what.url) };
  }
}

if (import.meta.main) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, ...what } = JSON.parse(line) as Work & { id: number };
    void work(what as Work)
      .catch((err: unknown): WorkDone => ({ error: String(err) }))
      .then((done) => process.stdout.write(`${JSON.stringify({ id, ...done })}\n`));
  }
}
