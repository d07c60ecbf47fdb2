import { expect, test } from "vitest";
import { BlobCorrupt, BlobUnavailable, BlobUnknown } from "#blob/source.ts";
import { UpstreamAnswer } from "#blob/upstream-response.ts";
import { ndnReason, refusalReason, upstreamReason } from "#client/status/reasons.ts";
import { InterestClient } from "#ndn/consumer/interest-client.ts";
import { MemoryUplink } from "#ndn/face/memory-face.ts";
import { parseName } from "#ndn/packet/name.ts";
import { Untrusted } from "#ndn/trust/errors.ts";
import { RegistryUnreachable } from "#oci/errors.ts";

/** What an Interest fails with that no one answers. */
async function silence(): Promise<Error> {
  const uplink = new MemoryUplink({ accept: () => true });
  const interests = new InterestClient(uplink);
  uplink.open();
  const never = new AbortController().signal;
  const asked = interests.express(parseName("/a"), { timeoutMs: 20 }, never);
  const err = await asked.then(
    () => new Error("it was answered"),
    (failure: Error) => failure,
  );
  uplink.close();
  return err;
}

test("why NDN did not bring a blob says what to look at", async () => {
  const unavailable = (cause: Error) => new BlobUnavailable(`no metadata over NDN: ${cause.message}`, { cause });
  expect(ndnReason(unavailable(await silence()))).toMatch(/^no one answered: is the server running, is --name/);
  expect(ndnReason(new BlobUnknown("the server does not have it"))).toMatch(/--publish/);
  const untrusted = new Untrusted("not-anchored", "/a/KEY/1 is signed by itself and is no anchor");
  expect(ndnReason(unavailable(untrusted))).toMatch(/^the anchor does not fit .* compare with ndn-registry key show$/);
  expect(ndnReason(unavailable(new Untrusted("validity", "/a/KEY/1 is valid from 1 to 2, not now")))).toMatch(
    /^a certificate is not valid now/,
  );
  expect(ndnReason(new BlobCorrupt("x"))).toBe("its bytes on NDN were wrong");
  expect(ndnReason(new BlobUnavailable("segment 41 unanswered for 15000 ms"))).toBe(
    "segment 41 unanswered for 15000 ms",
  );
});

test("why the upstream did not bring a blob is its answer, or what became of the connection", () => {
  const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
  const wrapped = new BlobUnavailable("x", { cause: new RegistryUnreachable("GET http://x", { cause: refused }) });
  expect(upstreamReason(wrapped)).toMatch(/^the upstream cannot be reached: nothing listens there/);
  const answer = new UpstreamAnswer(429, {}, Buffer.alloc(0));
  expect(upstreamReason(new BlobUnavailable("x", { cause: answer }))).toMatch(/quota/);
  expect(upstreamReason(new BlobUnavailable("upstream ended at byte 5 of 6"))).toBe("upstream ended at byte 5 of 6");
});

test("each refusal has words of its own", () => {
  const words = [401, 403, 404, 418, 429, 503].map(refusalReason);
  expect(new Set(words).size).toBe(words.length);
});
