/**
 * One of the two that are compared: the registry itself, or the endpoint in front of it. A party does what a scenario
 * says and remembers every answer, without what differs between any two runs.
 */
import { digestOf } from "#test/support/random-bytes.ts";
import { type Answer, exchange, type Question } from "./exchange.ts";

/** One answer as it is compared. */
export interface Line {
  readonly question: string;
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: unknown;
}

/**
 * Headers that may differ. All others have to be the same, with the same value.
 * - date, connection, keep-alive: they belong to the connection and the moment.
 * - x-blob-source, x-manifest-source, cache-status, oci-namespace: only the endpoint says where bytes come from, and for whom it stands.
 * - cache-control: advice to caches on the way; over NDN and from the store no answer of the registry's comes along.
 */
const mayDiffer = new Set([
  ...["date", "connection", "keep-alive"],
  ...["x-blob-source", "x-manifest-source", "cache-status", "oci-namespace", "cache-control"],
]);

/** Converted to schema 1, a manifest is signed anew for every answer. */
const isSignedAnew = ({ headers }: Answer) => headers["content-type"]?.includes("prettyjws") === true;
const ofSignature = new Set(["docker-content-digest", "etag"]);
/** docker-registry announces the blob's length with its own 412 and 416, and breaks off after a line of text. */
const isBrokenOff = ({ status }: Answer) => status === 412 || status === 416;
const ofBody = new Set(["content-length", "content-range", "content-type", "x-content-type-options"]);

/** Somebody who asks at one base URL, in a repository that nobody else uses. */
export class Party {
  /** `http://127.0.0.1:PORT` */
  readonly base: string;
  readonly repository: string;
  readonly transcript: Line[] = [];

  constructor(base: string, run: number) {
    this.base = base;
    this.repository = `conformance/run-${String(run).padStart(5, "0")}`;
  }

  /** Ask for a path, or for a URL that an earlier answer gave, and remember the answer. */
  async ask(reference: string, question: Question = {}): Promise<Answer> {
    const answer = await exchange(this.base, this.#pathOf(reference), question);
    const { method = "GET", headers = {} } = question;
    this.transcript.push({
      question: this.#neutral(`${method} ${reference} ${JSON.stringify(headers)}`),
      status: answer.status,
      headers: Object.entries(answer.headers)
        .filter(([name]) => !mayDiffer.has(name))
        .filter(([name]) => !(isSignedAnew(answer) && ofSignature.has(name)))
        .filter(([name]) => !(isBrokenOff(answer) && ofBody.has(name)))
        .map(([name, value]) => this.#neutral(`${name}: ${String(value)}`))
        .toSorted(),
      body: this.#neutralBody(answer),
    });
    return answer;
  }

  /** Path of something in this party's repository, such as `blobs/sha256:…`. */
  path(rest: string): string {
    return `/v2/${this.repository}/${rest}`;
  }

  /** Where the answer points to; it has to be at this party's own address. */
  next({ headers }: Answer): URL {
    const location = new URL(headers.location ?? "", this.base);
    if (location.origin !== this.base) throw new Error(`${this.base} sent its client to ${location.origin}`);
    return location;
  }

  #pathOf(reference: string): string {
    if (reference.startsWith("/")) return reference;
    const { origin, pathname, search } = new URL(reference);
    if (origin !== this.base) throw new Error(`${this.base} sent its client to ${origin}`);
    return pathname + search;
  }

  #neutral(text: string): string {
    return text
      .replaceAll(`:${new URL(this.base).port}`, ":PORT")
      .replaceAll(/run-\d{5}/g, "RUN")
      .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}/g, "UUID")
      .replaceAll(/_state=[^&;"\s]+/g, "_state=STATE")
      .replaceAll(/boundary=\S+|--[0-9a-f]{30,}/g, "boundary");
  }

  /** Of errors only the codes count; blobs and large bodies are told apart by their digest. */
  #neutralBody(answer: Answer): unknown {
    const { body, headers } = answer;
    if (isBrokenOff(answer)) return "refused";
    const type = headers["content-type"] ?? "";
    const text = body.toString("latin1");
    if (type.includes("octet-stream") || body.length > 100_000) return `${body.length} bytes, ${digestOf(body)}`;
    if (type.startsWith("multipart/")) return digestOf(Buffer.from(this.#neutral(text)));
    if (isSignedAnew(answer)) return this.#neutral(text).replace(/"(signature|protected)": "[^"]*"/g, "anew");
    if (!type.includes("json")) return this.#neutral(text);
    const { errors } = JSON.parse(text || "{}") as { errors?: { code: string }[] };
    return errors ? errors.map(({ code }) => code) : this.#neutral(text);
  }
}
