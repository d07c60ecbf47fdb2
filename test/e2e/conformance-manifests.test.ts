/** Manifests, tags, catalog and referrers through the endpoint are answered as docker-registry answers. */
import { describe, expect, test } from "vitest";
import { pushManifest } from "#test/support/oci-push.ts";
import { digestOf } from "#test/support/random-bytes.ts";
import { describeWith } from "#test/support/require-programs.ts";
import type { Answer, Question } from "./conformance/exchange.ts";
import { type Images, largest, pushImages, types } from "./conformance/images.ts";
import type { Party } from "./conformance/party.ts";
import { endpoints, useSideBySide } from "./conformance/side-by-side.ts";

const names = ["image", "index", "docker", "list"] as const;
const accepts: (string | string[] | undefined)[] = [
  undefined,
  "*/*",
  ...Object.values(types),
  Object.values(types).join(", "),
  Object.values(types), // each in a line of its own
  Object.values(types)
    .map((type, at) => `${type};q=0.${9 - at}`)
    .join(","),
  "text/html",
];

describeWith(["docker-registry"], "manifests", () => {
  describe.each([...endpoints])("%s", (_title, args) => {
    const sides = useSideBySide(args);

    /** Play it with every image in the repository. */
    function compareImages(scenario: (party: Party, images: Images) => Promise<void>): Promise<void> {
      let images: Images;
      const push = async (repository: string) => {
        images = await pushImages(sides.registry.url, repository);
      };
      return sides.compare((party) => scenario(party, images), push);
    }

    test("whatever is accepted, the same comes by tag and by digest, and again", async () => {
      await compareImages(async (party, images) => {
        for (const accept of accepts) {
          const headers = accept === undefined ? {} : { accept };
          for (const reference of names.flatMap((name) => [name, images[name]])) {
            await party.ask(party.path(`manifests/${reference}`), { headers });
            await party.ask(party.path(`manifests/${reference}`), { headers });
            await party.ask(party.path(`manifests/${reference}`), { headers, method: "HEAD" });
          }
        }
      });
    });

    test("a manifest of 4 MiB is the same", async () => {
      const manifest = largest({ schemaVersion: 2, mediaType: types.index, manifests: [] });
      const digest = digestOf(Buffer.from(JSON.stringify(manifest)));
      const push = (repository: string) => pushManifest(sides.registry.url, repository, "large", manifest);
      await sides.compare(async (party) => {
        for (const reference of ["large", digest, "large"]) {
          await party.ask(party.path(`manifests/${reference}`), { headers: { accept: types.index } });
        }
        const head = { method: "HEAD", headers: { accept: types.index } };
        const { headers } = await party.ask(party.path("manifests/large"), head);
        expect(headers["content-length"]).toBe(String(4 * 1_024 * 1_024));
      }, push);
    });

    test("what is not there is missing in the same way", async () => {
      await compareImages(async (party) => {
        const absent = digestOf(Buffer.from("absent"));
        for (const method of ["GET", "HEAD"]) {
          await party.ask(party.path("manifests/absent"), { method });
          await party.ask(party.path(`manifests/${absent}`), { method });
          await party.ask(party.path("never/manifests/image"), { method });
          await party.ask(party.path(`manifests/${absent.replace("sha256:", "sha256-")}`), { method });
        }
      });
    });

    test("conditions and ranges are answered the same", async () => {
      await compareImages(async (party, { image }) => {
        const path = party.path("manifests/image");
        const conditions = [
          { "if-none-match": `"${image}"` },
          { "if-none-match": image },
          { "if-none-match": `W/"${image}"` },
          { "if-none-match": "*" },
          { "if-match": '"another"' },
          { range: "bytes=0-9" },
        ];
        for (const condition of conditions) {
          const headers = { accept: types.image, ...condition };
          await party.ask(path, { headers });
          await party.ask(path, { headers, method: "HEAD" });
          await party.ask(party.path(`manifests/${image}`), { headers });
        }
      });
    });

    test("a tag that moves is seen at once, whoever moved it", async () => {
      await compareImages(async (party, { image, index }) => {
        const headers = { accept: Object.values(types).join(",") };
        const body = (await party.ask(party.path("manifests/index"), { headers })).body;
        await party.ask(party.path("manifests/image"), { headers });
        const put = { method: "PUT", headers: { "content-type": types.index }, body };
        await party.ask(party.path("manifests/image"), put);
        const moved = await party.ask(party.path("manifests/image"), { headers });
        expect(moved.headers["docker-content-digest"]).toBe(index);
        const old = await party.ask(party.path(`manifests/${image}`), { headers });
        const straight = `${sides.registry.url}/v2/${party.repository}/manifests/image`;
        await fetch(straight, { method: "PUT", headers: { "content-type": types.image }, body: old.body.toString() });
        const back = await party.ask(party.path("manifests/image"), { headers });
        expect(back.headers["docker-content-digest"]).toBe(image);
        await party.ask(party.path("manifests/image"), { headers, method: "HEAD" });
      });
    });

    test("pages of tags and of the catalog lead on through the endpoint", async () => {
      await compareImages(async (party) => {
        const tags = party.path("tags/list");
        const queries = ["", "?n=2", "?n=2&last=image", "?n=0", "?n=-1", "?n=abc", "?n=100", "?last=list", "?last=zzz"];
        for (const query of queries) await party.ask(tags + query);
        await party.ask(tags, { method: "HEAD" });
        await party.ask(party.path("never/tags/list"));
        let next: string | undefined = "/v2/_catalog?n=1";
        while (next !== undefined) {
          const { headers }: Answer = await party.ask(next);
          const [, target] = /^<([^>]+)>; rel="next"$/.exec(String(headers.link ?? "")) ?? [];
          next = target && new URL(target, party.base).href;
        }
        for (const query of ["", "?n=0", "?n=-1", "?n=abc", "?last=zzz", "?n=1000000"]) {
          await party.ask(`/v2/_catalog${query}`);
        }
      });
    });

    test("referrers are answered the same", async () => {
      await compareImages(async (party, { image }) => {
        const questions: [string, Question][] = [
          [`referrers/${image}`, {}],
          [`referrers/${image}?artifactType=application/vnd.example`, {}],
          [`referrers/${image}`, { method: "HEAD" }],
          ["referrers/sha256:short", {}],
          [`manifests/${image.replace(":", "-")}`, { headers: { accept: types.index } }],
        ];
        for (const [rest, question] of questions) await party.ask(party.path(rest), question);
      });
    });
  });
});
