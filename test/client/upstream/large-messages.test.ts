import { createHash } from "node:crypto";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { buffer } from "node:stream/consumers";
import { expect, test } from "vitest";
import { until } from "#test/support/until.ts";
import { startEndpoint } from "../endpoint.ts";
import { startUpstream } from "./raw-upstream.ts";

const MiB = 1024 * 1024;

test.each([true, false])(
  "a push of any length is taken no faster than the upstream takes it, length: %s",
  async (isSaid) => {
    const [total, piece] = [64 * MiB, Buffer.alloc(MiB, 7)];
    const reading = Promise.withResolvers<void>();
    await using upstream = await startUpstream((incoming, response) => {
      void reading.promise.then(async () => {
        const hash = createHash("sha256");
        for await (const bytes of incoming as AsyncIterable<Buffer>) hash.update(bytes);
        response.writeHead(201, { "x-sha256": hash.digest("hex") }).end();
      });
    });
    await using endpoint = await startEndpoint(upstream.url);
    const headers = isSaid ? { "content-length": total } : {};
    const sent = request(new URL("/v2/a/blobs/uploads/1", endpoint.url), { method: "PUT", headers });
    const answered = once(sent, "response");
    let bytes = 0;
    const push = () => {
      let isTaken = true;
      for (; isTaken && bytes < total; bytes += piece.length) isTaken = sent.write(piece);
      if (bytes < total) sent.once("drain", push);
      else sent.end();
    };
    push();
    let [before, polls] = [0, 0];
    await until("the puller to be held up", () => {
      polls = bytes === before ? polls + 1 : 0;
      before = bytes;
      return upstream.seen.length === 1 && polls > 10;
    });
    expect(bytes).toBeLessThan(total / 2);
    reading.resolve();
    const [answer] = (await answered) as [IncomingMessage];
    const expected = createHash("sha256");
    for (let at = 0; at < total; at += piece.length) expected.update(piece);
    expect([answer.statusCode, answer.headers["x-sha256"]]).toEqual([201, expected.digest("hex")]);
    expect(upstream.seen[0]!.headers["content-length"]).toBe(isSaid ? String(total) : undefined);
  },
);

test("answers with 64 KiB of headers reach the puller, whatever they are to", async () => {
  const large = Object.fromEntries(Array.from({ length: 16 }, (_, at) => [`x-large-${at}`, "a".repeat(4096)]));
  await using upstream = await startUpstream((_, response) => void response.writeHead(404, large).end("none"));
  await using endpoint = await startEndpoint(upstream.url);
  const digest = `sha256:${"0".repeat(64)}`;
  for (const path of ["/v2/", "/v2/a/manifests/b", `/v2/a/blobs/${digest}`, "/v2/a/tags/list"]) {
    for (const method of ["GET", "HEAD", "DELETE"]) {
      const sent = request(new URL(path, endpoint.url), { method, maxHeaderSize: 256 * 1024, agent: false });
      sent.end();
      const [answer] = (await once(sent, "response")) as [IncomingMessage];
      expect([path, method, answer.statusCode]).toEqual([path, method, 404]);
      expect(answer.headers).toMatchObject(large);
      await buffer(answer);
    }
  }
});
