/** Pushes go through the endpoint as they go straight: uploads, mounts, manifests. */
import { describe, expect, test } from "vitest";
import { pushBlob } from "#test/support/oci-push.ts";
import { digestOf, randomBytesOf } from "#test/support/random-bytes.ts";
import { describeWith } from "#test/support/require-programs.ts";
import type { Question } from "./conformance/exchange.ts";
import { largest, pushImages, types } from "./conformance/images.ts";
import type { Party } from "./conformance/party.ts";
import { endpoints, useSideBySide } from "./conformance/side-by-side.ts";

const bytes = randomBytesOf("pushed", 200_000);
const digest = digestOf(bytes);

describeWith(["docker-registry"], "pushing", () => {
  describe.each([...endpoints])("%s", (_title, args) => {
    const sides = useSideBySide(args);

    async function begin(party: Party, question: Question = {}): Promise<URL> {
      return party.next(await party.ask(party.path("blobs/uploads/"), { method: "POST", ...question }));
    }

    async function finish(party: Party, upload: URL, question: Question = {}, of: string = digest): Promise<void> {
      const url = new URL(upload);
      url.searchParams.set("digest", of);
      const { headers } = await party.ask(url.href, { method: "PUT", ...question });
      if (headers.location !== undefined) await party.ask(headers.location);
    }

    async function pull(party: Party): Promise<void> {
      await party.ask(party.path(`blobs/${digest}`), { method: "HEAD" });
      await party.ask(party.path(`blobs/${digest}`));
      await party.ask(party.path(`blobs/${digest}`));
    }

    test("in one piece", async () => {
      await sides.compare(async (party) => {
        await party.ask(party.path(`blobs/${digest}`), { method: "HEAD" });
        const headers = { "content-type": "application/octet-stream", "content-length": bytes.length };
        await finish(party, await begin(party), { headers, body: bytes });
        await pull(party);
      });
    });

    test("in one piece with the POST", async () => {
      await sides.compare(async (party) => {
        const headers = { "content-type": "application/octet-stream", "content-length": bytes.length };
        const post = { method: "POST", headers, body: bytes };
        const answer = await party.ask(party.path(`blobs/uploads/?digest=${digest}`), post);
        if (answer.status === 202) await finish(party, party.next(answer), { body: bytes });
        await pull(party);
      });
    });

    test("in pieces, each at the Location of the answer before, with a look at the status between", async () => {
      await sides.compare(async (party) => {
        let upload = await begin(party, { headers: { "content-length": 0 } });
        const lengths = [100_000, 99_999, 1];
        let start = 0;
        for (const length of lengths) {
          const headers = {
            "content-type": "application/octet-stream",
            "content-range": `${start}-${start + length - 1}`,
            "content-length": length,
          };
          const body = bytes.subarray(start, start + length);
          upload = party.next(await party.ask(upload.href, { method: "PATCH", headers, body }));
          start += length;
          upload = party.next(await party.ask(upload.href));
        }
        await finish(party, upload, { headers: { "content-length": 0 } });
        await pull(party);
      });
    });

    test("with the last piece in the PUT, and with pieces of unannounced length", async () => {
      await sides.compare(async (party) => {
        let upload = await begin(party);
        const headers = { "transfer-encoding": "chunked" };
        const patch = { method: "PATCH", headers, body: bytes.subarray(0, 150_000) };
        upload = party.next(await party.ask(upload.href, patch));
        await finish(party, upload, { headers, body: bytes.subarray(150_000) });
        await pull(party);
      });
    });

    test("nothing at all, which is a blob too", async () => {
      const empty = digestOf(Buffer.alloc(0));
      await sides.compare(async (party) => {
        await finish(party, await begin(party), { headers: { "content-length": 0 } }, empty);
        await party.ask(party.path(`blobs/${empty}`));
        await party.ask(party.path(`blobs/${empty}`), { method: "HEAD" });
      });
    });

    test("a piece out of order is answered the same", async () => {
      await sides.compare(async (party) => {
        const upload = await begin(party);
        const headers = { "content-type": "application/octet-stream", "content-range": "1000-1999" };
        const body = bytes.subarray(1_000, 2_000);
        const { headers: answered } = await party.ask(upload.href, { method: "PATCH", headers, body });
        await party.ask(answered.location ?? upload.href);
        const again = answered.location ?? upload.href;
        await party.ask(again, { method: "PATCH", headers: { ...headers, "content-range": "nonsense" }, body });
        await party.ask(upload.href, { method: "PATCH", headers: { "content-type": "text/plain" }, body });
      });
    });

    test("a cancelled upload is gone", async () => {
      await sides.compare(async (party) => {
        const upload = await begin(party);
        await party.ask(upload.href);
        await party.ask(upload.href, { method: "DELETE" });
        await party.ask(upload.href);
        await party.ask(upload.href, { method: "PATCH", body: bytes });
        await party.ask(upload.href, { method: "DELETE" });
      });
    });

    test("a wrong, malformed or missing digest, an altered state and an unknown upload are refused the same", async () => {
      const wrong = digestOf(Buffer.from("wrong"));
      await sides.compare(async (party) => {
        await finish(party, await begin(party), { body: bytes }, wrong);
        await party.ask(party.path(`blobs/${wrong}`), { method: "HEAD" });
        for (const malformed of ["sha256:short", "md5:abc", "", `sha256:${digest.slice(7).toUpperCase()}`]) {
          await finish(party, await begin(party), { body: bytes }, malformed);
        }
        await party.ask((await begin(party)).href, { method: "PUT", body: bytes });
        const upload = await begin(party);
        await finish(party, new URL(`${upload.origin}${upload.pathname}?_state=altered`), { body: bytes });
        await finish(party, new URL(`${upload.origin}${upload.pathname}`), { body: bytes });
        const unknown = party.path("blobs/uploads/00000000-0000-4000-8000-000000000000");
        for (const method of ["GET", "PATCH", "PUT", "DELETE"]) await party.ask(unknown, { method });
        await party.ask(party.path("blobs/uploads/no-uuid"));
        await party.ask(party.path("blobs/uploads/"));
      });
    });

    test("mounts from another repository, or says where to upload", async () => {
      const push = (repository: string) => pushBlob(sides.registry.url, `${repository}/source`, bytes);
      await sides.compare(async (party) => {
        const mount = (query: string) => party.ask(party.path(`blobs/uploads/?${query}`), { method: "POST" });
        await mount(`mount=${digest}&from=${party.repository}/never`);
        await mount(`mount=${digest}`);
        await mount(`mount=${digestOf(Buffer.from("unknown"))}&from=${party.repository}/source`);
        await mount(`mount=sha256:short&from=${party.repository}/source`);
        await mount(`mount=${digest}&from=Not/A/Name`);
        const refused = await mount(`mount=${digest}&from=`);
        await finish(party, party.next(refused), { body: bytes });
        await party.ask(party.path(`blobs/${digest}`), { method: "DELETE" });
        const mounted = await mount(`mount=${digest}&from=${party.repository}/source`);
        await party.ask(party.next(mounted).href);
        await mount(`mount=${digest}&from=${encodeURIComponent(`${party.repository}/source`)}`);
        await pull(party);
      }, push);
    });

    test("under the name by which the puller reaches it", async () => {
      await sides.compare(async (party) => {
        const host = new URL(party.base).host.replace("127.0.0.1", "localhost");
        const begun = await party.ask(party.path("blobs/uploads/"), { method: "POST", headers: { host } });
        expect(new URL(begun.headers.location!).host).toBe(host);
      });
    });

    test("a manifest by tag and by digest", async () => {
      let manifest: { layers: { digest: string }[] };
      const push = async (repository: string) => {
        const { image } = await pushImages(sides.registry.url, repository);
        const url = `${sides.registry.url}/v2/${repository}/manifests/${image}`;
        manifest = (await (await fetch(url, { headers: { accept: types.image } })).json()) as typeof manifest;
      };
      await sides.compare(async (party) => {
        const put = async (reference: string, body: string, type: string | undefined = types.image) => {
          const headers = type === "" ? {} : { "content-type": type };
          const path = party.path(`manifests/${reference}`);
          const { headers: answered } = await party.ask(path, { method: "PUT", headers, body });
          if (answered.location) await party.ask(answered.location, { headers: { accept: types.image } });
        };
        const text = JSON.stringify(manifest);
        await put("pushed", text);
        await put(digestOf(Buffer.from(`${text} `)), `${text} `);
        await put(digestOf(Buffer.from("another")), text);
        await put("large", JSON.stringify(largest(manifest)));
        await put("too-large", `${JSON.stringify(largest(manifest))} `);
        await put("typeless", text, "");
        await put("of-another-type", text, "application/json");
        await put("with-charset", text, `${types.image}; charset=utf-8`);
        await put("empty", "");
        await put("nonsense", "{");
        await put(".bad-tag", text);
        await put("t".repeat(129), text);
        const missing = [{ ...manifest.layers[0], digest: digestOf(Buffer.from("not pushed")) }];
        await put("incomplete", JSON.stringify({ ...manifest, layers: missing }));
        await put("with-subject", JSON.stringify({ ...manifest, subject: manifest.layers[0] }));
        await party.ask(party.path("tags/list"));
      }, push);
    });
  });
});
