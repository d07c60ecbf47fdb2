import { expect, test } from "vitest";
import { ask, startEndpoint } from "../endpoint.ts";
import { startUpstream } from "../upstream/raw-upstream.ts";

const blob = `/v2/team/app/blobs/sha256:${"0".repeat(64)}`;
const questions = [
  { method: "GET", headers: {} },
  { method: "HEAD", headers: {} },
  { method: "GET", headers: { range: "bytes=5-9" } },
  { method: "GET", headers: { range: "bytes=0-" } },
];

test.each(["cannot be reached", "wants a login", "leads nowhere"])(
  "where a blob is redirected to a host that %s, the puller gets the redirect itself",
  async (what) => {
    await using far = await startUpstream((request, response) => {
      if (what === "cannot be reached") request.socket.destroy();
      else response.writeHead(401, { "www-authenticate": 'Basic realm="far"' }).end();
    });
    const location = what === "leads nowhere" ? "ftp://far.example/blob" : new URL("/blob?signature=1", far.url).href;
    await using front = await startUpstream((_, response) => void response.writeHead(307, { location }).end());
    await using endpoint = await startEndpoint(front.url);
    for (const question of questions) {
      const answer = await ask(endpoint.url, blob, question);
      expect([question, answer.status, answer.headers.location]).toEqual([question, 307, location]);
      expect(answer.headers).not.toHaveProperty("www-authenticate");
    }
    expect(endpoint.logs.filter((line) => JSON.stringify(line).includes("signature"))).toEqual([]);
  },
);

test("a blob beside the registry's API is read without Authorization, and with it where that is refused", async () => {
  const shown: (string | undefined)[] = [];
  let isSigned = true;
  await using upstream = await startUpstream(({ url, headers: { authorization } }, response) => {
    if (url!.startsWith("/v2/")) return void response.writeHead(307, { location: "/storage/blob?signature=1" }).end();
    shown.push(authorization);
    const isRight = isSigned === (authorization === undefined);
    return void response.writeHead(isRight ? 200 : isSigned ? 400 : 403, { "content-length": 5 }).end("bytes");
  });
  for (const expected of [[undefined], [undefined, "Bearer x"]]) {
    await using endpoint = await startEndpoint(upstream.url);
    const { status } = await ask(endpoint.url, blob, { method: "HEAD", headers: { authorization: "Bearer x" } });
    expect([status, shown.splice(0)]).toEqual([200, expected]);
    isSigned = false;
  }
});
