import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { hashSync } from "bcryptjs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type BasicAuth, createBasicAuth, LoginsBusy } from "#client/listener/basic-auth.ts";
import { createLoginGate } from "#client/listener/login-gate.ts";
import { makeTemporaryFolder, type TemporaryFolder } from "#test/support/tmp.ts";
import { ask } from "../endpoint.ts";

const authorization = `Basic ${Buffer.from("reader:secret").toString("base64")}`;
let folder: TemporaryFolder;
let auth: BasicAuth;

beforeEach(async () => {
  folder = await makeTemporaryFolder();
  const file = join(folder.path, "htpasswd");
  writeFileSync(file, `reader:${hashSync("secret", 4)}\n`);
  auth = createBasicAuth(file);
});

afterEach(async () => {
  await auth.close();
  await folder[Symbol.asyncDispose]();
});

function unexpected(fields: object): never {
  throw new Error(`logged: ${JSON.stringify(fields)}`);
}

async function gateway(check: Pick<BasicAuth, "check"> = auth, error: (fields: object) => void = unexpected) {
  const passed: IncomingMessage[] = [];
  const gate = createLoginGate(check, { error });
  const server = createServer((request, response) => {
    void gate(request, response).then((isIn) => {
      if (!isIn) return;
      passed.push(request);
      response.end("in");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  return { url, passed, [Symbol.dispose]: () => void server.close() };
}

test.each(["/", "/v2/", "/v2/team/app/blobs/x", "/metrics", "/readyz", "/healthz/../metrics", "//healthz"])(
  "%s needs a login",
  async (path) => {
    using endpoint = await gateway();
    const refused = await ask(endpoint.url, path);
    expect(refused.status).toBe(401);
    expect(refused.headers["www-authenticate"]).toBe('Basic realm="ndn-registry"');
    expect(refused.headers["docker-distribution-api-version"]).toBe("registry/2.0");
    expect(JSON.parse(refused.body.toString())).toMatchObject({ errors: [{ code: "UNAUTHORIZED" }] });
    expect((await ask(endpoint.url, path, { headers: { authorization } })).body.toString()).toBe("in");
  },
);

test("/healthz is open", async () => {
  using endpoint = await gateway();
  expect((await ask(endpoint.url, "/healthz")).status).toBe(200);
});

test("the login goes no further: a proxy that forwards the request has no Authorization left", async () => {
  using endpoint = await gateway();
  const headers = { AUTHORIZATION: authorization, accept: "*/*" };
  await ask(endpoint.url, "/v2/", { headers });
  const [request] = endpoint.passed;
  expect(request?.headers).toMatchObject({ accept: "*/*" });
  expect(JSON.stringify([request?.headers, request?.rawHeaders, request?.headersDistinct])).not.toMatch(
    /authorization|Basic/i,
  );
});

test("with too many logins in work, or a check that fails, the answer is 503 and when to try again", async () => {
  const logged: object[] = [];
  for (const problem of [new LoginsBusy("too many logins are being checked"), new Error("secret inside")]) {
    using endpoint = await gateway({ check: () => Promise.reject(problem) }, (fields) => logged.push(fields));
    const { status, headers, body } = await ask(endpoint.url, "/v2/", { headers: { authorization } });
    expect([status, headers["retry-after"]]).toEqual([503, "1"]);
    expect(JSON.parse(body.toString())).toMatchObject({ errors: [{ code: "UNAVAILABLE" }] });
    expect(body.toString()).not.toContain("secret");
  }
  expect(logged).toEqual([{ err: new Error("secret inside") }]);
});

test("who sends a body without a login is refused and cut off, and not listened to until its end", async () => {
  using endpoint = await gateway();
  const { status, headers } = await ask(endpoint.url, "/v2/", { method: "POST", body: Buffer.alloc(1_000) });
  expect([status, headers.connection]).toEqual([401, "close"]);
});
