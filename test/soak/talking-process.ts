/** A helper process that is spoken to in lines of JSON. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { testEnvironment } from "#test/support/environment.ts";

const ended = "the helper process has ended";

/** Its standard input takes lines; those that it answers carry the `id` of the question. */
export class TalkingProcess implements AsyncDisposable {
  readonly #child: ChildProcess & { stdin: Writable; stdout: Readable };
  readonly #waiting = new Map<number, (answer: unknown) => void>();
  #lastId = 0;
  #hasEnded = false;

  constructor(command: string, args: readonly string[]) {
    this.#child = spawn(command, args, { env: testEnvironment(), stdio: ["pipe", "pipe", "inherit"] });
    this.#child.stdin.on("error", () => undefined); // it has ended: whoever waits is told below
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.#heard(line));
    this.#child.once("exit", () => {
      this.#hasEnded = true;
      for (const answer of this.#waiting.values()) answer({ error: ended });
      this.#waiting.clear();
    });
  }

  /** Ask, and wait for the answer. */
  async ask<T>(question: object): Promise<T> {
    if (this.#hasEnded) return { error: ended } as T;
    const id = ++this.#lastId;
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, resolve);
    this.tell({ id, ...question });
    return (await promise) as T;
  }

  /** Say something that has no answer. */
  tell(order: object): void {
    this.#child.stdin.write(`${JSON.stringify(order)}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#hasEnded) return;
    const exit = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await exit;
  }

  #heard(line: string): void {
    if (!line.startsWith("{")) return;
    const { id, ...answer } = JSON.parse(line) as { id: number };
    this.#waiting.get(id)?.(answer);
    this.#waiting.delete(id);
  }
}
