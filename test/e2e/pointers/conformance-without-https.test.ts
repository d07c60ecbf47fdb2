/**
 * Reads of a registry that is reached over NDN alone, beside the registry itself: what is different is listed here, with
 * the reason.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { freePort } from "#test/support/free-port.ts";
import { pushManifest } from "#test/support/oci-push.ts";
import { type DockerRegistry, startDockerRegistry } from "#test/support/programs/docker-registry.ts";
import { digestOf } from "#test/support/random-bytes.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { type RunningProgram, startClient, startServer } from "#test/support/running-program.ts";
import { useStage } from "#test/support/stage.ts";
import { exchange, type Question } from "../conformance/exchange.ts";
import { type Images, largest, pushImages, types } from "../conformance/images.ts";

const repository = "conformance/read";
const headersCompared = ["content-type", "docker-content-digest", "etag", "content-length", "oci-filters-applied"];

describeWith(["docker-registry"], "reads over NDN alone", () => {
  const stage = useStage();
  let registry: DockerRegistry;
  let client: RunningProgram;
  let images: Images;

  beforeAll(async () => {
    const [registryFolder, server, puller] = ["registry", "server", "client"].map((name) => join(stage.folder, name));
    for (const folder of [registryFolder!, server!, puller!]) await mkdir(folder);
    registry = stage.own(await startDockerRegistry({ folder: registryFolder! }));
    images = await pushImages(registry.url, repository);
    const face = `tcp://127.0.0.1:${await freePort()}`;
    const anchor = join(stage.folder, "anchor.ndncert");
    const name = ["--name", "/conformance"];
    const published = [
      "--registry",
      registry.url,
      "--face",
      face,
      "--export-anchor",
      anchor,
      "--publish-catalog",
      "on",
    ];
    stage.own(await startServer({ folder: server!, args: [...name, ...published] }));
    const alone = ["--upstream", "none", "--anchor", anchor, "--uplink", face];
    client = stage.own(await startClient({ folder: puller!, args: [...name, ...alone] }));
  }, 60_000);

  /** What a puller makes of an answer. */
  async function essence(base: string, path: string, question: Question) {
    const { status, headers, body } = await exchange(base, path, question);
    if (status >= 400) {
      const said =
        question.method === "HEAD" ? [] : (JSON.parse(body.toString()) as { errors: { code: string }[] }).errors;
      return { status, code: said[0]?.code };
    }
    const compared = headersCompared.map((name) => [name, String(headers[name] ?? "")]);
    return { status, headers: Object.fromEntries(compared) as Record<string, string>, digest: digestOf(body) };
  }

  async function both(path: string, question: Question = {}) {
    const url = `/v2/${repository}/${path}`;
    return [await essence(registry.url, url, question), await essence(client.url, url, question)] as const;
  }

  const all = Object.values(types)
    .filter((type) => type !== types.schema1)
    .join(", ");

  test.each(["image", "index", "docker", "list"] as const)("the %s is the same by tag and by digest", async (kind) => {
    for (const method of ["GET", "HEAD"]) {
      for (const reference of [kind, images[kind]]) {
        for (const accept of [all, all.split(", ").reverse().join(",")]) {
          const [straight, through] = await both(`manifests/${reference}`, { method, headers: { accept } });
          expect(through).toEqual(straight);
        }
      }
    }
  });

  test("an Accept that does not admit the type is refused in the same way", async () => {
    for (const reference of ["image", "index", images.image]) {
      const [straight, through] = await both(`manifests/${reference}`, { headers: { accept: "text/html" } });
      expect(through).toEqual(straight);
    }
  });

  test("Docker's own types are not converted for those who do not take them, as docker-registry would", async () => {
    const [straight, through] = await both("manifests/docker", { headers: { accept: types.image } });
    expect([straight.status, through]).toEqual([200, { status: 404, code: "MANIFEST_UNKNOWN" }]);
  });

  test("a manifest of 4 MiB is the same", async () => {
    const manifest = largest({ schemaVersion: 2, mediaType: types.index, manifests: [] });
    await pushManifest(registry.url, repository, "large", manifest);
    const [straight, through] = await both("manifests/large", { headers: { accept: types.index } });
    expect(through).toEqual(straight);
  });

  test("conditions are answered in the same way", async () => {
    for (const condition of [`"${images.image}"`, '"another"', "*"]) {
      const headers = { accept: all, "if-none-match": condition };
      const [straight, through] = await both("manifests/image", { headers });
      // docker-registry does not know `*`, nor does it name the type with a 304.
      if (condition === "*") expect(through.status).toBe(304);
      else expect([through.status, through.digest]).toEqual([straight.status, straight.digest]);
    }
  });

  test("what is not there is missing in the same way", async () => {
    const absent = digestOf(Buffer.from("absent"));
    for (const path of ["manifests/absent", `manifests/${absent}`, `blobs/${absent}`]) {
      for (const method of ["GET", "HEAD"]) {
        const [straight, through] = await both(path, { method, headers: { accept: all } });
        expect([path, method, through]).toEqual([path, method, straight]);
      }
    }
  });

  test("tags are the same, sorted, in pages as the specification says: docker-registry 2.8 has them in no order and knows no pages", async () => {
    const tags = async (base: string, query: string) => {
      const { status, body } = await exchange(base, `/v2/${repository}/tags/list${query}`);
      return [status, (JSON.parse(body.toString()) as { tags?: string[] }).tags];
    };
    const [, every] = (await tags(registry.url, "")) as [number, string[]];
    const sorted = every.toSorted();
    expect(await tags(client.url, "")).toEqual([200, sorted]);
    expect(await tags(client.url, "?n=2")).toEqual([200, sorted.slice(0, 2)]);
    expect(await tags(client.url, "?n=2&last=docker")).toEqual([
      200,
      sorted.filter((tag) => tag > "docker").slice(0, 2),
    ]);
    expect(await tags(client.url, "?n=0")).toEqual([200, []]);
    expect((await exchange(client.url, "/v2/conformance/never/tags/list")).status).toBe(404);
  });

  test("the catalog is the same", async () => {
    const [straight, through] = [
      await exchange(registry.url, "/v2/_catalog"),
      await exchange(client.url, "/v2/_catalog"),
    ];
    expect(JSON.parse(through.body.toString())).toEqual(JSON.parse(straight.body.toString()));
  });

  test("referrers are an index, where docker-registry 2.8 has none", async () => {
    const path = `/v2/${repository}/referrers/${images.image}?artifactType=a/b`;
    expect((await exchange(registry.url, path)).status).toBe(404);
    const { status, headers, body } = await exchange(client.url, path);
    expect([status, headers["oci-filters-applied"]]).toEqual([200, "artifactType"]);
    expect(JSON.parse(body.toString())).toMatchObject({ schemaVersion: 2, manifests: [] });
  });
});
