import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { createRights, type RightsOptions } from "#client/rights/rights.ts";
import { RegistryUnreachable } from "#oci/registry-client.ts";
import { blobOf } from "#test/blob/faulty-sources.ts";
import { by } from "../puller.ts";

const { ref } = blobOf("image", 1_000);
const { repository, digest } = ref;

/** An upstream whose answer to every HEAD and GET may be changed: a status, or none. */
class Upstream {
  status: number | undefined = 200;
  readonly asked: (string | undefined)[] = [];

  async headBlob(
    _repository: string,
    _digest: string,
    { auth }: { auth: { kind: string; value?: string | undefined } },
  ) {
    this.asked.push(auth.value);
    if (this.status === undefined) throw new RegistryUnreachable("connection refused");
    return { status: this.status, headers: { "content-length": "1000" } };
  }

  async getBlob() {
    if (this.status === undefined) throw new RegistryUnreachable("connection refused");
    return { status: this.status, headers: {}, body: Readable.from([]) };
  }
}

function rightsOf(upstream: Upstream, options: Partial<RightsOptions> = {}) {
  const clock = { nowMs: 1_000 };
  const rights = createRights({
    registry: upstream,
    registryHost: "registry.example",
    authorize: "upstream",
    now: () => clock.nowMs,
    ...options,
  });
  const aLongTime = () => {
    clock.nowMs += 24 * 3_600_000;
  };
  return { rights, aLongTime, clock };
}

test.each([undefined, 429, 500, 503])(
  "with an upstream that answers %s a known puller is granted as remembered",
  async (status) => {
    const upstream = new Upstream();
    const { rights, aLongTime } = rightsOf(upstream);
    await rights.ask(by("Basic a"), ref);
    aLongTime();
    upstream.status = status;
    expect(await rights.ask(by("Basic a"), ref)).toEqual({ kind: "granted", sizeBytes: 1_000, offline: true });
  },
);

test("with the upstream down another puller is not granted what one puller may", async () => {
  const upstream = new Upstream();
  const { rights } = rightsOf(upstream);
  await rights.ask(by("Basic a"), ref);
  upstream.status = undefined;
  await expect(rights.ask(by("Basic b"), ref)).rejects.toThrow(RegistryUnreachable);
  await expect(rights.ask(by(undefined), ref)).rejects.toThrow(RegistryUnreachable);
  await expect(rights.ask(by("Basic a"), { ...ref, repository: "team/other" })).rejects.toThrow(RegistryUnreachable);
  upstream.status = 503;
  expect(await rights.ask(by("Basic b"), ref)).toEqual({ kind: "refused", status: 503 });
});

test("what a puller without credentials may, every puller may again with the upstream down", async () => {
  const upstream = new Upstream();
  const { rights, aLongTime } = rightsOf(upstream);
  await rights.ask(by(undefined), ref);
  aLongTime();
  upstream.status = undefined;
  expect(await rights.ask(by(undefined), ref)).toMatchObject({ kind: "granted", offline: true });
  expect(await rights.ask(by("Bearer new"), ref)).toMatchObject({ kind: "granted", offline: true });
});

test("with `anyone` it is enough that some puller was granted it, in the same repository", async () => {
  const upstream = new Upstream();
  const { rights } = rightsOf(upstream, { offline: "anyone" });
  await rights.ask(by("Basic a"), ref);
  upstream.status = undefined;
  expect(await rights.ask(by("Basic b"), ref)).toEqual({ kind: "granted", sizeBytes: undefined, offline: true });
  await expect(rights.ask(by("Basic b"), { ...ref, repository: "team/other" })).rejects.toThrow(RegistryUnreachable);
  await expect(rights.ask(by("Basic b"), blobOf("never granted", 9).ref)).rejects.toThrow(RegistryUnreachable);
});

test("with `nobody` nothing is granted as remembered once the 5 minutes are over", async () => {
  const upstream = new Upstream();
  const { rights, clock } = rightsOf(upstream, { offline: "nobody" });
  await rights.ask(by("Basic a"), ref);
  upstream.status = undefined;
  expect(await rights.ask(by("Basic a"), ref)).toEqual({ kind: "granted", sizeBytes: 1_000 });
  expect(rights.mayOffline("Basic a", repository, digest)).toBe(false);
  clock.nowMs += 300_001;
  await expect(rights.ask(by("Basic a"), ref)).rejects.toThrow(RegistryUnreachable);
});

test.each([401, 403, 404])("a later %d of the upstream takes the right back", async (status) => {
  const upstream = new Upstream();
  const { rights, aLongTime } = rightsOf(upstream);
  await rights.ask(by("Basic a"), ref);
  aLongTime();
  upstream.status = status;
  expect(await rights.ask(by("Basic a"), ref)).toEqual({ kind: "refused", status });
  upstream.status = undefined;
  await expect(rights.ask(by("Basic a"), ref)).rejects.toThrow(RegistryUnreachable);
  expect(rights.isKnown("Basic a")).toBe(false);
});

test("what other routes learn counts: a grant is fresh for 5 minutes and known afterwards, a refusal ends both", async () => {
  const { rights, clock } = rightsOf(new Upstream());
  const isFresh = () => rights.isFresh("Basic a", repository, digest);
  expect([isFresh(), rights.isKnown("Basic a")]).toEqual([false, false]);
  rights.granted("Basic a", repository, digest);
  expect([isFresh(), rights.isKnown("Basic a"), rights.isKnown("Basic b")]).toEqual([true, true, false]);
  clock.nowMs += 300_000;
  expect([isFresh(), rights.mayOffline("Basic a", repository, digest)]).toEqual([false, true]);
  rights.refused("Basic a", repository, digest);
  expect([isFresh(), rights.mayOffline("Basic a", repository, digest)]).toEqual([false, false]);
});

test("what was granted as remembered is asked again as soon as the upstream is back", async () => {
  const upstream = new Upstream();
  const { rights, aLongTime } = rightsOf(upstream);
  await rights.ask(by("Basic a"), ref);
  aLongTime();
  upstream.status = undefined;
  await rights.ask(by("Basic a"), ref);
  upstream.status = 403;
  expect(await rights.ask(by("Basic a"), ref)).toEqual({ kind: "refused", status: 403 });
});

test("with --authorize none nothing is refused, and the upstream is asked only for the size", async () => {
  const upstream = new Upstream();
  const { rights } = rightsOf(upstream, { authorize: "none" });
  expect(rights.isFresh("Basic a", repository, digest)).toBe(true);
  expect(rights.mayOffline("Basic a", repository, digest)).toBe(true);
  upstream.status = 403;
  expect(await rights.ask(by("Basic a"), ref)).toEqual({ kind: "granted", sizeBytes: undefined });
  upstream.status = undefined;
  expect(await rights.ask(by("Basic a"), ref)).toMatchObject({ kind: "granted" });
});

test("beyond the bound what was used least lately is forgotten, also that some puller was granted it", () => {
  const { rights } = rightsOf(new Upstream(), { offline: "anyone", maxRemembered: 2 });
  const [first, second, third] = ["1", "2", "3"].map((seed) => blobOf(seed, 10).ref.digest) as [
    typeof digest,
    typeof digest,
    typeof digest,
  ];
  rights.granted("a", repository, first);
  rights.granted("b", repository, second);
  rights.granted("a", repository, first);
  rights.granted("c", repository, third);
  expect([first, second, third].map((one) => rights.mayOffline("z", repository, one))).toEqual([true, false, true]);
  expect([rights.isKnown("a"), rights.isKnown("b"), rights.isKnown("c")]).toEqual([true, false, true]);
});
