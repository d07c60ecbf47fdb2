import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FaceListener } from "#ndn/face/face-listener.ts";
import { parseFaceUrl } from "#ndn/face/face-url.ts";
import { freePort } from "#test/support/free-port.ts";
import { startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { serve } from "../publish/serving.ts";

let registry: TestRegistry;
beforeAll(async () => {
  registry = await startRegistry();
});
afterAll(() => registry.close());

test("when one of several faces is taken the others are given back", async () => {
  const taken = await FaceListener.listen(parseFaceUrl("tcp://127.0.0.1:0"), [{ accept: () => true }]);
  const free = await freePort();
  const faces = [free, taken.port].map((port) => parseFaceUrl(`tcp://127.0.0.1:${port}`));
  await expect(serve(registry, { faces })).rejects.toThrow(/EADDRINUSE/);
  const socket = connect(free, "127.0.0.1");
  await expect(once(socket, "connect")).rejects.toThrow(/ECONNREFUSED/);
  await taken.close();
});

test("a server whose only uplink is down stays up and says what is missing", async () => {
  const port = await freePort();
  const status = { host: "127.0.0.1", port };
  await using _serving = await serve(registry, { uplinks: [parseFaceUrl("unix:///not/there.sock")], status });
  const url = `http://127.0.0.1:${port}`;
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  for (const path of ["/healthz", "/readyz", "/metrics"]) {
    const [got, head] = [await fetch(url + path), await fetch(url + path, { method: "HEAD" })];
    expect([head.status, await head.text()]).toEqual([got.status, ""]);
    await got.body?.cancel();
  }
  const ready = await fetch(`${url}/readyz`);
  expect(ready.status).toBe(503);
  expect(await ready.text()).toContain("uplink unix:///not/there.sock is down");
  expect(await (await fetch(`${url}/metrics`)).text()).toContain("ndn_registry_server_interests_total 0");
});
