import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { RegistryClient, RegistryUnreachable } from "#oci/registry-client.ts";
import { listening } from "#test/support/listening.ts";

/** An upstream whose answers a test writes itself. */
export interface RawUpstream extends AsyncDisposable {
  readonly url: URL;
  readonly seen: IncomingMessage[];
}

/** Start one on a free port, under `basePath`. */
export async function startUpstream(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  basePath = "/",
): Promise<RawUpstream> {
  const seen: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    seen.push(request);
    answer(request, response);
  });
  const { port, close } = await listening(server, () => server.closeAllConnections());
  return { url: new URL(`http://127.0.0.1:${port}${basePath}`), seen, [Symbol.asyncDispose]: close };
}

/** Of a registry client: what is not asked patiently is given up at once. */
export const shortTimeouts = { headersTimeoutMs: 50, bodyTimeoutMs: 50 };

/** Ask an upstream that does not answer this until the time is over: so it is for every request that was made before. */
export async function outwait({ url }: Pick<RawUpstream, "url">): Promise<void> {
  const client = new RegistryClient({ base: url, ...shortTimeouts });
  const [auth, { signal }] = [{ kind: "anonymous" } as const, new AbortController()];
  const failure = await client.request("GET", "/v2/outwait/tags/list", { auth, signal }).catch((err: unknown) => err);
  if (!(failure instanceof RegistryUnreachable)) throw new Error("an answer came", { cause: failure });
  await client.close();
}
