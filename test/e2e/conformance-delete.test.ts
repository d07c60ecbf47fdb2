/** What has been deleted through the endpoint is gone at once, whatever had been pulled before. */
import { describe, expect, test } from "vitest";
import { begin } from "#test/client/endpoint.ts";
import { pushBlob } from "#test/support/oci-push.ts";
import { digestOf, randomBytesOf } from "#test/support/random-bytes.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { type Images, pushImages, types } from "./conformance/images.ts";
import type { Party } from "./conformance/party.ts";
import { endpoints, useSideBySide } from "./conformance/side-by-side.ts";

const remove = { method: "DELETE" };

describeWith(["docker-registry"], "deleting", () => {
  describe.each([...endpoints])("%s", (_title, args) => {
    const sides = useSideBySide(args);

    const ask = async (party: Party, path: string) => {
      await party.ask(path, { method: "HEAD" });
      await party.ask(path);
      await party.ask(path, { headers: { range: "bytes=0-9" } });
    };

    test.each([
      ["never pulled", 3_000, 0],
      ["just pulled", 3_001, 1],
      ["pulled again and again", 3_002, 3],
      ["of many segments, just pulled", 300_000, 2],
    ])("a blob %s", async (_pulled, sizeBytes, times) => {
      const bytes = randomBytesOf("deleted", sizeBytes);
      const path = `blobs/${digestOf(bytes)}`;
      const push = async (repository: string) => {
        await pushBlob(sides.registry.url, repository, bytes);
        await pushBlob(sides.registry.url, `${repository}/other`, bytes);
      };
      await sides.compare(async (party) => {
        for (let time = 0; time < times; time++) await party.ask(party.path(path));
        await party.ask(party.path(path), remove);
        const head = await party.ask(party.path(path), { method: "HEAD" });
        expect(head.status).toBe(404);
        await ask(party, party.path(path));
        await party.ask(party.path(path), remove);
        // Elsewhere it is still there, and comes back where it is pushed again.
        await ask(party, party.path(`other/${path}`));
        await pushBlob(party.base, party.repository, bytes);
        await ask(party, party.path(path));
      }, push);
    });

    test("a blob that somebody is pulling", async () => {
      const bytes = randomBytesOf("being pulled", 8_000_000);
      const path = `blobs/${digestOf(bytes)}`;
      const push = (repository: string) => pushBlob(sides.registry.url, repository, bytes);
      await sides.compare(async (party) => {
        const pull = await begin(new URL(party.base), party.path(path));
        try {
          await party.ask(party.path(path), remove);
          const head = await party.ask(party.path(path), { method: "HEAD" });
          expect(head.status).toBe(404);
          await ask(party, party.path(path));
        } finally {
          pull.destroy();
        }
      }, push);
    });

    test.each([0, 2])("a manifest that was pulled %i times, by digest, with its tags", async (times) => {
      let images: Images;
      const push = async (repository: string) => {
        images = await pushImages(sides.registry.url, repository);
      };
      await sides.compare(async (party) => {
        const headers = { accept: Object.values(types).join(",") };
        const references = ["image", images.image, "index", images.index];
        for (let time = 0; time < times; time++) {
          for (const reference of references) await party.ask(party.path(`manifests/${reference}`), { headers });
        }
        await party.ask(party.path(`manifests/${images.image}`), remove);
        for (const method of ["HEAD", "GET"]) {
          for (const reference of references) {
            await party.ask(party.path(`manifests/${reference}`), { method, headers });
          }
        }
        const head = await party.ask(party.path("manifests/image"), { method: "HEAD", headers });
        expect(head.status).toBe(404);
        await party.ask(party.path("tags/list"));
        await party.ask(party.path(`manifests/${images.image}`), remove);
        await party.ask(party.path("manifests/index"), remove);
        await party.ask(party.path("manifests/index"), { headers });
        await party.ask(party.path("tags/list"));
      }, push);
    });

    test("what was never there", async () => {
      const unknown = digestOf(Buffer.from("unknown"));
      const push = (repository: string) => pushBlob(sides.registry.url, repository, Buffer.from("something"));
      await sides.compare(async (party) => {
        for (const reference of [unknown, "sha256:short", "tag"]) {
          await party.ask(party.path(`manifests/${reference}`), remove);
          await party.ask(party.path(`blobs/${reference}`), remove);
          await party.ask(party.path(`never/blobs/${reference}`), remove);
        }
      }, push);
    });
  });
});
