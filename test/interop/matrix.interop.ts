/**
 * Every program that pulls and pushes, straight to a registry and through the client: the result is the same, whether
 * it is an image or a refusal.
 */
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type DockerRegistry, startDockerRegistry, testLogin } from "#test/support/programs/docker-registry.ts";
import { randomBytesOf } from "#test/support/random-bytes.ts";
import { blobBytes, type RunningProgram } from "#test/support/running-program.ts";
import { pushSmallImage, type SmallImage } from "#test/support/small-image.ts";
import { useStage } from "#test/support/stage.ts";
import { describeOutcome, outcomeOf } from "./outcome.ts";
import { startContainerd1, startContainerd2 } from "./pullers/containerd.ts";
import { startCrane } from "./pullers/crane.ts";
import { startDocker } from "./pullers/docker.ts";
import { startOras } from "./pullers/oras.ts";
import { startPodman } from "./pullers/podman.ts";
import { exportSample, type Puller, type Sample } from "./pullers/puller.ts";
import { startSkopeo } from "./pullers/skopeo.ts";
import { imageIn } from "./pushed.ts";
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

/** Who asks, which registry, and what comes of it. */
const accesses = [
  { access: "anonymous", isClosed: false, login: undefined, granted: "ok", absent: "404" },
  { access: "no login", isClosed: true, login: undefined, granted: "401", absent: "401" },
  { access: "wrong login", isClosed: true, login: { ...testLogin, password: "wrong" }, granted: "401", absent: "401" },
  { access: "login", isClosed: true, login: testLogin, granted: "ok", absent: "404" },
] as const;

const repository = "team/app/matrix";

/** A registry, and the client in front of it. */
interface Side {
  readonly registry: DockerRegistry;
  readonly client: RunningProgram;
}

describe("straight and through the client", () => {
  const stage = useStage();
  const rows = new Map<string, Record<string, string>>();
  let open: Side;
  let closed: Side;
  let image: SmallImage;
  let sample: Sample;

  beforeAll(async () => {
    [open, closed] = [await startSide(false), await startSide(true)];
    image = await pushSmallImage(open.registry.url, repository, randomBytesOf("matrix", 3_000_000));
    sample = await exportSample(`${open.registry.host}/${repository}:latest`, stage.folder);
    const skopeo = await startSkopeo(stage.folder, sample);
    await skopeo.push(`${closed.registry.host}/${repository}:latest`, testLogin);
  });

  afterAll(() => console.table([...rows.values()]));

  async function startSide(auth: boolean): Promise<Side> {
    const registry = stage.own(await startDockerRegistry({ folder: await stage.newFolder("registry"), auth }));
    return { registry, client: await startThrough(stage, registry.url, auth ? testLogin : undefined) };
  }

  describe.each(Object.entries(starters))("%s", (name, start) => {
    let puller: Puller;

    beforeAll(async () => {
      puller = stage.own(await start(await stage.newFolder("puller"), sample));
    });

    describe.each(accesses)("$access", ({ access, isClosed, login, granted, absent }) => {
      const side = () => (isClosed ? closed : open);
      const pushedAt = (host: string) => `${name}/${access}/${host}`.replaceAll(/[ .:]/g, "-");

      /** Do it straight and through the client: both come to the same, which is what was expected. */
      async function expectBoth(expected: string, action: string, act: (host: string) => Promise<unknown>) {
        const { registry, client } = side();
        const outcomeAt = (host: string) =>
          outcomeOf(() => act(host), { [host]: "REGISTRY", [pushedAt(host)]: "PUSHED" });
        const [straight, through] = [await outcomeAt(registry.host), await outcomeAt(client.host)];
        const equals = isDeepStrictEqual(straight, through) ? "=" : "≠";
        const row = rows.get(`${name} ${action}`) ?? { puller: name, action };
        rows.set(`${name} ${action}`, {
          ...row,
          [access]: [straight, through].map(describeOutcome).join(` ${equals} `),
        });
        expect(through).toEqual(straight);
        expect(describeOutcome(through)).toBe(expected);
      }

      async function expectBothPulls(action: string, reference: string) {
        const before = await blobBytes(side().client);
        await expectBoth(granted, action, (host) => puller.pull(`${host}/${repository}${reference}`, login));
        const after = await blobBytes(side().client);
        const pulled = granted === "ok" ? image.blobBytes : 0;
        expect([after.ndn + after.store - before.ndn - before.store, after.upstream]).toEqual([pulled, 0]);
      }

      test("pulls by tag", () => expectBothPulls("pull by tag", ":latest"));

      test("pulls by digest", () => expectBothPulls("pull by digest", `@${image.manifest.digest}`));

      test("pulls what is not there", () =>
        expectBoth(absent, "pull of what is not there", (host) => puller.pull(`${host}/${repository}:absent`, login)));

      test("pushes", () =>
        expectBoth(granted, "push", async (host) => {
          await puller.push(`${host}/${pushedAt(host)}:latest`, login);
          return imageIn(side().registry.url, pushedAt(host), login);
        }));

      test.runIf(login !== undefined)("logs in", async ({ skip }) => {
        skip(puller.logIn === undefined, "it has no command that tries a login");
        await expectBoth(granted, "log in", (host) => puller.logIn!(host, login!));
      });
    });
  });
});
