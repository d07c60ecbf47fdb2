import { once } from "node:events";
import { type IncomingHttpHeaders, type IncomingMessage, type OutgoingHttpHeaders, request } from "node:http";

/** What to ask. */
export interface Question {
  /** @defaultValue "GET" */
  readonly method?: string | undefined;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: Uint8Array | string;
}

/** What was answered. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Ends with `(broken off)` when the connection ended before the body. */
  readonly body: Buffer;
}

/**
 * Ask with the path exactly as it is written, on a connection of its own. docker-registry breaks off its own 416
 * (Content-Length is the blob's), so an answer that does not end is an answer too.
 */
export async function exchange(base: string, path: string, question: Question = {}): Promise<Answer> {
  const { method = "GET", headers = {}, body } = question;
  const { hostname, port } = new URL(base);
  const sent = request({ hostname, port, path, method, headers, agent: false });
  sent.end(body);
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  sent.on("error", () => {}); // an answer may come before the request has been sent
  const pieces: Buffer[] = [];
  try {
    for await (const piece of answer) pieces.push(piece as Buffer);
  } catch {
    pieces.push(Buffer.from("(broken off)"));
  }
  return { status: answer.statusCode!, headers: answer.headers, body: Buffer.concat(pieces) };
}
