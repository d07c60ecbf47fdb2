/**
 * oras with artifacts and what refers to them: with docker-registry, which has no referrers API, so that oras keeps the
 * list in a tag, and with olareg, which has it.
 */
import { mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startDockerRegistry, testLogin } from "#test/support/programs/docker-registry.ts";
import { randomBytesOf } from "#test/support/random-bytes.ts";
import { run } from "#test/support/run.ts";
import { useStage } from "#test/support/stage.ts";
import { Comparison, type Side } from "./comparison.ts";
import { goProgram } from "./go-programs.ts";
import { startOlareg } from "./olareg.ts";
import { contentOf, type Login, loginFolder } from "./pullers/puller.ts";
import { startThrough } from "./through.ts";

const registries = [
  { title: "tag", start: (folder: string) => startDockerRegistry({ folder }), login: undefined },
  { title: "tag, password", start: (folder: string) => startDockerRegistry({ folder, auth: true }), login: testLogin },
  { title: "API", start: (folder: string) => startOlareg(folder), login: undefined },
  { title: "API, token", start: (folder: string) => startOlareg(folder, testLogin), login: testLogin },
] as const;

/** Print the digest, and make it the same each time. */
const digestOnly = [
  ...["--no-tty", "--format", "go-template={{.digest}}"],
  ...["--annotation", "org.opencontainers.image.created=2026-01-01T00:00:00Z"],
];

describe("oras with artifacts", () => {
  const stage = useStage();
  const comparison = new Comparison();
  afterAll(() => comparison.print());

  describe.each(registries)("referrers by $title", ({ title, start, login }) => {
    let side: Side;
    let folder: string;

    beforeAll(async () => {
      const registry = stage.own(await start(await stage.newFolder("registry")));
      side = { registry, client: await startThrough(stage, registry.url, login) };
      folder = await stage.newFolder("files");
      await writeFile(join(folder, "model.bin"), randomBytesOf("artifact", 2_000_000));
      await writeFile(join(folder, "note.txt"), "for the model\n");
      await writeFile(join(folder, "sbom.json"), "{}\n");
    });

    const nameAt = (host: string) => `${host}/artifacts/${host === side.client.host ? "through" : "straight"}`;

    /** Run oras for the artifact at this host; resolves with what it says, the same at each host. */
    async function oras(host: string, as: Login | undefined, verb: string, ...args: string[]): Promise<string> {
      const config = join(await loginFolder(folder, host, as), "config.json");
      const options =
        verb === "copy" ? ["--from-plain-http", "--from-registry-config"] : ["--plain-http", "--registry-config"];
      const all = [...verb.split(" "), ...options, config, ...args];
      return (await run(goProgram("oras"), all, { cwd: folder })).stdout.replaceAll(nameAt(host), "ARTIFACT");
    }

    const expectSame = (action: string, act: (host: string) => Promise<unknown>, expected = /^ok$/) =>
      comparison.expectSame({ program: "oras", action, access: title, expected, side, act });

    const push = (host: string, as: Login | undefined) =>
      oras(
        host,
        as,
        "push",
        ...digestOnly,
        "--artifact-type",
        "application/vnd.example.model",
        `${nameAt(host)}:v1`,
        "model.bin",
        "note.txt:text/plain",
      );

    const attach = (host: string, type: string, subject: string, file: string) =>
      oras(host, login, "attach", ...digestOnly, "--artifact-type", type, `${nameAt(host)}${subject}`, file);

    const discover = (host: string, as: Login | undefined) =>
      oras(host, as, "discover", "--format", "json", `${nameAt(host)}:v1`);

    test("pushes", () => expectSame("push", (host) => push(host, login)));

    test("attaches to what it has pushed, and to what it has attached", () =>
      expectSame("attach", async (host) => {
        const sbom = await attach(host, "application/vnd.example.sbom", ":v1", "sbom.json");
        return [sbom, await attach(host, "application/vnd.example.signature", `@${sbom}`, "note.txt")];
      }));

    test("discovers what refers to it", () =>
      expectSame("discover", async (host) => {
        const found = await discover(host, login);
        expect(found).toContain("application/vnd.example.signature");
        return found;
      }));

    test("finds at the registry what was attached through the client", async () => {
      const straight = await oras(
        side.registry.host,
        login,
        "discover",
        "--format",
        "json",
        `${side.registry.host}/artifacts/through:v1`,
      );
      expect(straight.replaceAll(`${side.registry.host}/artifacts/through`, "ARTIFACT")).toBe(
        await discover(side.client.host, login),
      );
    });

    test("pulls", () =>
      expectSame("pull", async (host) => {
        const target = await mkdtemp(join(folder, "pulled-"));
        await oras(host, login, "pull", "--no-tty", "--output", target, `${nameAt(host)}:v1`);
        return contentOf(target);
      }));

    test("copies with all that refers to it", () =>
      expectSame("copy --recursive", async (host) => {
        const target = await mkdtemp(join(folder, "copied-"));
        await oras(
          host,
          login,
          "copy",
          "--no-tty",
          "--recursive",
          `${nameAt(host)}:v1`,
          "--to-oci-layout",
          `${target}:v1`,
        );
        return contentOf(join(target, "blobs"));
      }));

    test("lists tags", () => expectSame("repo tags", (host) => oras(host, login, "repo tags", nameAt(host))));

    test("finds no longer what was deleted", () =>
      expectSame("delete, then discover", async (host) => {
        const { referrers } = JSON.parse(await discover(host, login)) as { referrers: { digest: string }[] };
        await oras(host, login, "manifest delete", "--force", `${nameAt(host)}@${referrers[0]!.digest}`);
        return discover(host, login);
      }));

    test.runIf(login !== undefined)("is refused without a login", async () => {
      await expectSame("push without login", (host) => push(host, undefined), /^401$/);
      await expectSame("discover without login", (host) => discover(host, undefined), /^401$/);
    });
  });
});
