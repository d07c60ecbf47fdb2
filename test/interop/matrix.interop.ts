/**
 * Every program that pulls and pushes, straight to a registry and through the client: the result is the same, whether
 * it is an image or a refusal.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startDockerRegistry, testLogin } from "#test/support/programs/docker-registry.ts";
import { blobBytes, type RunningProgram } from "#test/support/running-program.ts";
import type { SmallImage } from "#test/support/small-image.ts";
import { useStage } from "#test/support/stage.ts";
import { Comparison, type Side } from "./comparison.ts";
import { copyImage, pushImages } from "./images.ts";
import { startOlareg } from "./olareg.ts";
import { startContainerd1, startContainerd2 } from "./pullers/containerd.ts";
import { startCrane } from "./pullers/crane.ts";
import { startDocker } from "./pullers/docker.ts";
import { startOras } from "./pullers/oras.ts";
import { startPodman } from "./pullers/podman.ts";
import { exportSample, type Puller, type Sample } from "./pullers/puller.ts";
import { startSkopeo } from "./pullers/skopeo.ts";
import { startThrough } from "./through.ts";

const starters = {
  docker: startDocker,
  "containerd 1.6": startContainerd1,
  "containerd 2.4": startContainerd2,
  podman: startPodman,
  skopeo: startSkopeo,
  crane: startCrane,
  oras: startOras,
};

const wrongLogin = { ...testLogin, password: "wrong" };

/** Registries: open, one that asks for a password, and one that asks for the token of a token service. */
const accesses = [
  { access: "open", at: "open", login: undefined, isAllowed: true },
  { access: "password: none", at: "password", login: undefined, isAllowed: false },
  { access: "password: wrong", at: "password", login: wrongLogin, isAllowed: false },
  { access: "password: right", at: "password", login: testLogin, isAllowed: true },
  { access: "token: none", at: "token", login: undefined, isAllowed: false },
  { access: "token: wrong", at: "token", login: wrongLogin, isAllowed: false },
  { access: "token: right", at: "token", login: testLogin, isAllowed: true },
] as const;

/** A token service says 403 to a wrong password. */
const refused = /^40[13]$/;
const repository = "team/app/matrix";

type Place = (typeof accesses)[number]["at"];

describe("straight and through the client", () => {
  const stage = useStage();
  const comparison = new Comparison();
  const sides: Partial<Record<Place, Side & { client: RunningProgram }>> = {};
  let image: SmallImage;
  let sample: Sample;
  let skopeo: Puller;

  beforeAll(async () => {
    for (const place of ["open", "password", "token"] as const) {
      const folder = await stage.newFolder(place);
      const docker = () => startDockerRegistry({ folder, auth: place === "password" });
      const registry = stage.own(place === "token" ? await startOlareg(folder, testLogin) : await docker());
      const login = place === "open" ? undefined : testLogin;
      sides[place] = { registry, client: await startThrough(stage, registry.url, login) };
    }
    const { registry } = sides.open!;
    image = await pushImages(registry.url, repository);
    for (const place of ["password", "token"] as const) {
      for (const tag of ["latest", "index"]) {
        const [from, to] = [registry.host, sides[place]!.registry.host].map((host) => `${host}/${repository}:${tag}`);
        await copyImage(from!, to!, testLogin, stage.folder);
      }
    }
    sample = await exportSample(`${registry.host}/${repository}:latest`, stage.folder);
    skopeo = await startSkopeo(stage.folder, sample);
  });

  afterAll(() => comparison.print());

  describe.each(Object.entries(starters))("%s", (program, start) => {
    let puller: Puller;

    beforeAll(async () => {
      puller = stage.own(await start(await stage.newFolder("puller"), sample));
    });

    describe.each(accesses)("$access", ({ access, at, login, isAllowed }) => {
      const granted = isAllowed ? /^ok$/ : refused;
      const pushedAt = (host: string) => `${program}/${access}/${host}`.replaceAll(/[^a-z0-9/]+/g, "-");

      const expectSame = (action: string, expected: RegExp, act: (host: string) => Promise<unknown>) =>
        comparison.expectSame({ program, action, access, expected, side: sides[at]!, act });

      /** And what came through the client came over NDN, or from its store. */
      async function expectSamePull(action: string, pull: (host: string) => Promise<unknown>): Promise<void> {
        const { client } = sides[at]!;
        const before = await blobBytes(client);
        await expectSame(action, granted, pull);
        const after = await blobBytes(client);
        const pulled = isAllowed ? image.blobBytes : 0;
        expect([after.ndn + after.store - before.ndn - before.store, after.upstream]).toEqual([pulled, 0]);
      }

      test("pulls by tag", () =>
        expectSamePull("pull by tag", (host) => puller.pull(`${host}/${repository}:latest`, login)));

      test("pulls by digest", () =>
        expectSamePull("pull by digest", (host) => {
          return puller.pull(`${host}/${repository}@${image.manifest.digest}`, login);
        }));

      test("pulls an index", () =>
        expectSame("pull of an index", granted, (host) => puller.pull(`${host}/${repository}:index`, login)));

      test("pulls by the registry's own name", async ({ skip }) => {
        skip(puller.pullByMirror === undefined, "it has no mirrors, or for Docker Hub only");
        const name = `${sides[at]!.registry.host}/${repository}:latest`;
        await expectSamePull("pull by mirror", (host) => puller.pullByMirror!(name, login, `http://${host}`));
      });

      test("pulls what is not there", () =>
        expectSame("pull of what is not there", isAllowed ? /^404$/ : refused, (host) =>
          puller.pull(`${host}/${repository}:absent`, login),
        ));

      test("pushes", () =>
        expectSame("push", granted, async (host) => {
          await puller.push(`${host}/${pushedAt(host)}:latest`, login);
          return skopeo.pull(`${sides[at]!.registry.host}/${pushedAt(host)}:latest`, login);
        }));

      test.runIf(login !== undefined)("logs in", async ({ skip }) => {
        skip(puller.logIn === undefined, "it has no command that tries a login");
        await expectSame("log in", granted, (host) => puller.logIn!(host, login!));
      });
    });
  });
});
