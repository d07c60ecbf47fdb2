/** Fuzzed HTTP requests into a client. `NDN_REGISTRY_FUZZ=n` says how many; without it, a thousand. */
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { randomBytesOf } from "#test/support/random-bytes.ts";
import { seededRandom } from "#test/support/seeded-random.ts";
import { useStage } from "#test/support/stage.ts";
import { fuzzedRequest } from "./fuzzed-requests.ts";
import { expectNoGrowth, expectWell, sizeOf, warmUp } from "./growth.ts";
import { type Rig, repository, startRig } from "./rig.ts";
import { Scene } from "./scene.ts";

const requests = Number(process.env.NDN_REGISTRY_FUZZ ?? 1_000);
const seed = Number(process.env.NDN_REGISTRY_FUZZ_SEED ?? 1);
/** Requests that are under way at a time. */
const width = 16;
const stage = useStage();

test("a client survives fuzzed HTTP requests without growing", { timeout: 240_000 }, async () => {
  const rig = stage.own(await startRig({ folder: await stage.newFolder("rig"), seed }));
  const scene = new Scene(rig, "fuzzed requests", seed);
  await warmUp(rig, scene);
  const random = seededRandom(seed);
  await shower(rig, random, requests, new Map());
  const before = await sizeOf(rig, "client");
  const answers = new Map<string, number>();
  await shower(rig, random, requests, answers);
  await expectWell(rig, "client");
  const counts = [...answers].sort(([a], [b]) => (a < b ? -1 : 1)).map(([status, count]) => `${status} × ${count}`);
  await expectNoGrowth(rig, "client", before, `client, ${requests} fuzzed requests (${counts.join(", ")})`);
  expect(answers.get("500") ?? 0).toBe(0);
  await rig.untilNdnServes(() => scene.freshBlob(100_000));
});

async function shower(rig: Rig, random: () => number, count: number, answers: Map<string, number>): Promise<void> {
  let left = count;
  const worker = async () => {
    while (left-- > 0) {
      const digest = rig.registry.addBlob(repository, randomBytesOf("fuzzed", 20_000)); // a DELETE may have hit it
      const status = await sendOne(rig, fuzzedRequest(random, repository, digest), random() < 0.5);
      answers.set(status, (answers.get(status) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
}

/** The status of the answer's first line, or "closed" or "silence". */
async function sendOne(rig: Rig, request: Buffer, isWhole: boolean): Promise<string> {
  const [host, port] = rig.client.host.split(":");
  const socket = connect({ host: host!, port: Number(port), allowHalfOpen: true });
  socket.on("error", () => socket.destroy());
  const half = isWhole ? request.length : request.length >> 1;
  socket.write(request.subarray(0, half));
  if (!isWhole) socket.write(request.subarray(half));
  socket.end();
  const patience = new AbortController();
  try {
    const first = once(socket, "data", patience).then(([piece]) => String(piece).slice(0, 12).split(" ")[1] ?? "?");
    const closed = once(socket, "close", patience).then(() => "closed");
    const late = delay(200, "silence", patience);
    return await Promise.race([first, closed, late].map((one) => one.catch(() => "closed")));
  } finally {
    patience.abort();
    socket.destroy();
  }
}
