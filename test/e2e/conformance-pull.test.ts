/** Pulling blobs through the endpoint is answered as docker-registry answers: cold, and again when it is cached. */
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { pushBlob } from "#test/support/oci-push.ts";
import { digestOf, randomBytesOf } from "#test/support/random-bytes.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { exchange, type Question } from "./conformance/exchange.ts";
import type { Party } from "./conformance/party.ts";
import { endpoints, useSideBySide } from "./conformance/side-by-side.ts";

const ranges = [
  ...["0-", "0-0", "0-2999", "500-1499", "500-", "2000-5000", "2999-2999", "3000-", "500-0", "abc", "5-3", "-"],
  ...["0-0,5-9", "0-0,9000-", "9000-,9001-", " 0-5", "0-5,"],
].map((range) => `bytes=${range}`);
const strangeRanges = ["bytes", "0-5", "bytes 0-5"];
/** Where docker-registry does otherwise than RFC 9110 § 14: the range, the blob's size, and the status by the RFC. */
const mistakes: [string, number, number][] = [
  ["bytes=-500", 0, 416],
  ["bytes=-0", 3_000, 416],
  ["bytes=-0", 0, 416],
  ["bytes=", 3_000, 416],
  ["bytes=0-99999999999999999999", 3_000, 206],
  ["Bytes=0-5", 3_000, 206],
  ["items=0-5", 3_000, 200],
];

/** `E` stands for the blob's ETag. */
const conditions: Record<string, string>[] = [
  { "if-none-match": "E" },
  { "if-none-match": "W/E" },
  { "if-none-match": '"another", E' },
  { "if-none-match": '"another"' },
  { "if-none-match": "*" },
  { "if-match": "E" },
  { "if-match": '"another"' },
  { "if-match": "*" },
  { range: "bytes=0-9", "if-range": "E" },
  { range: "bytes=0-9", "if-range": "W/E" },
  { range: "bytes=0-9", "if-range": '"another"' },
  { range: "bytes=0-9", "if-range": "Sat, 01 Jan 2000 00:00:00 GMT" },
  { range: "bytes=0-9", "if-match": '"another"' },
  { range: "bytes=0-9", "if-none-match": "E" },
  { range: "bytes=9000-", "if-range": '"another"' },
  { "if-modified-since": "Sat, 01 Jan 2000 00:00:00 GMT" },
  { "if-unmodified-since": "Sat, 01 Jan 2000 00:00:00 GMT" },
];

describeWith(["docker-registry"], "pulling a blob", () => {
  describe.each([...endpoints])("%s", (_title, args) => {
    const sides = useSideBySide(args);

    /** Ask for a blob that nobody has asked for, again, and once more when all of it has been pulled. */
    async function pull(name: string, sizeBytes: number, question: Question): Promise<void> {
      const bytes = randomBytesOf(`${name} ${JSON.stringify(question)}`, sizeBytes);
      const push = (repository: string) => pushBlob(sides.registry.url, repository, bytes);
      await sides.compare(async (party) => {
        const path = party.path(`blobs/${digestOf(bytes)}`);
        await party.ask(path, question);
        await party.ask(path, question);
        await party.ask(path);
        await party.ask(path, question);
        const { range: _, ...headers } = question.headers ?? {};
        await party.ask(path, { method: "HEAD", headers });
      }, push);
    }

    test.each([0, 1, 3_000, 8_192, 8_193, 300_000])("a blob of %i bytes is the same", async (sizeBytes) => {
      await pull("whole", sizeBytes, {});
      await pull("head first", sizeBytes, { method: "HEAD" });
      await pull("accept", sizeBytes, { headers: { accept: "text/html", "accept-encoding": "gzip" } });
    });

    test.each([...ranges, ...strangeRanges])("Range: %s is answered the same", async (range) => {
      await pull("range", 3_000, { headers: { range } });
      await pull("range", 0, { headers: { range } });
    });

    test.each(["bytes=0-", "bytes=500-1499", "bytes=-500", "bytes=299999-", "bytes=300000-"])(
      "Range: %s of a blob of many segments is answered the same",
      async (range) => pull("long", 300_000, { headers: { range } }),
    );

    test.each(conditions)("the condition %j is answered the same", async (headers) => {
      const bytes = randomBytesOf(JSON.stringify(headers), 3_000);
      const etag = `"${digestOf(bytes)}"`;
      const own = Object.entries(headers).map(([name, value]) => [name, value.replace(/\bE$/, etag)]);
      const question = { headers: Object.fromEntries(own) as Record<string, string> };
      const push = (repository: string) => pushBlob(sides.registry.url, repository, bytes);
      await sides.compare(async (party) => {
        const path = party.path(`blobs/${digestOf(bytes)}`);
        await party.ask(path, question);
        await party.ask(path);
        await party.ask(path, question);
        if (!headers.range) await party.ask(path, { ...question, method: "HEAD" });
      }, push);
    });

    test.each(["bytes=-500", "bytes=-5000"])("Range: %s of a blob with content is answered the same", async (range) =>
      pull("suffix", 3_000, { headers: { range } }),
    );

    test.each(mistakes)(
      "Range: %s of %i bytes is answered by the RFC or as straight",
      async (range, sizeBytes, byRfc) => {
        const bytes = randomBytesOf(`mistake ${range}`, sizeBytes);
        const { digest } = await pushBlob(sides.registry.url, "conformance/mistakes", bytes);
        const path = `/v2/conformance/mistakes/blobs/${digest}`;
        const straight = await exchange(sides.registry.url, path, { headers: { range } });
        const cold = await exchange(sides.endpoint, path, { headers: { range } });
        await exchange(sides.endpoint, path);
        const warm = await exchange(sides.endpoint, path, { headers: { range } });
        for (const { status } of [cold, warm]) expect([straight.status, byRfc]).toContain(status);
      },
    );

    test("an unsatisfiable range is told the blob's size", async () => {
      const bytes = randomBytesOf("unsatisfiable", 3_000);
      const { digest } = await pushBlob(sides.registry.url, "conformance/unsatisfiable", bytes);
      const path = `/v2/conformance/unsatisfiable/blobs/${digest}`;
      for (const base of [sides.registry.url, sides.endpoint, sides.endpoint]) {
        const { status, headers } = await exchange(base, path, { headers: { range: "bytes=3000-" } });
        expect([status, headers["content-range"]]).toEqual([416, "bytes */3000"]);
        await exchange(base, path);
      }
    });

    // docker-registry answers with 206 and 416; RFC 9110 § 14.2: a range means something to GET only.
    test("HEAD knows no ranges", async () => {
      const { digest } = await pushBlob(sides.registry.url, "conformance/head", randomBytesOf("head", 3_000));
      for (const range of ["bytes=0-9", "bytes=3000-"]) {
        const question = { method: "HEAD", headers: { range } };
        const { status, headers } = await exchange(sides.endpoint, `/v2/conformance/head/blobs/${digest}`, question);
        expect([status, headers["content-length"]]).toEqual([200, "3000"]);
      }
    });

    test("a blob that is not there is missing in the same way", async () => {
      const missing = `blobs/${digestOf(Buffer.from("missing"))}`;
      const there = (repository: string) => pushBlob(sides.registry.url, repository, Buffer.from("there"));
      const askThrice = async (party: Party, path: string) => {
        await party.ask(path);
        await party.ask(path, { method: "HEAD" });
        await party.ask(path, { headers: { range: "bytes=0-9" } });
      };
      await sides.compare((party) => askThrice(party, party.path(missing)), there);
      await sides.compare((party) => askThrice(party, party.path(missing)));
    });

    test("a blob that is cached is missing in a repository that does not have it", async () => {
      const bytes = randomBytesOf("elsewhere", 3_000);
      const path = `blobs/${digestOf(bytes)}`;
      const push = async (repository: string) => {
        await pushBlob(sides.registry.url, repository, bytes);
        await pushBlob(sides.registry.url, `${repository}/other`, Buffer.from("another"));
      };
      await sides.compare(async (party) => {
        await party.ask(party.path(path));
        await party.ask(party.path(`other/${path}`));
        await party.ask(party.path(`other/${path}`), { method: "HEAD" });
        await party.ask(party.path(`never/${path}`));
        await party.ask(party.path(path));
      }, push);
    });

    test("blobs of another digest algorithm are the registry's to answer", async () => {
      const bytes = randomBytesOf("sha512", 3_000);
      const digest = `sha512:${createHash("sha512").update(bytes).digest("hex")}`;
      await sides.compare(async (party) => {
        const begun = await party.ask(party.path("blobs/uploads/"), { method: "POST" });
        const upload = party.next(begun);
        upload.searchParams.set("digest", digest);
        await party.ask(upload.href, { method: "PUT", body: bytes });
        for (const question of [{}, { method: "HEAD" }, { headers: { range: "bytes=500-1499" } }, {}]) {
          await party.ask(party.path(`blobs/${digest}`), question);
          await party.ask(party.path(`blobs/${digestOf(bytes)}`), question);
        }
        await party.ask(party.path(`blobs/${digest}`), { method: "DELETE" });
        await party.ask(party.path(`blobs/${digest}`), { method: "HEAD" });
      });
    });
  });
});
