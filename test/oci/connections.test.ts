import { expect, test } from "vitest";
import { maxConnectionsPerOrigin } from "#oci/connections.ts";
import { RegistryClient } from "#oci/registry-client.ts";
import { startUpstream } from "#test/client/upstream/raw-upstream.ts";
import { until } from "#test/support/until.ts";

const auth = { kind: "anonymous" } as const;

test("reads beyond the bound on connections wait for their turn, and may be given up while they wait", async () => {
  const waiting: (() => void)[] = [];
  let isAnswering = false;
  await using upstream = await startUpstream((_, response) => {
    if (isAnswering) response.end();
    else waiting.push(() => void response.end());
  });
  const client = new RegistryClient({ base: upstream.url });
  const read = async (signal: AbortSignal) => {
    const { status, body } = await client.request("GET", "/v2/a/tags/list", { auth, signal });
    body.resume();
    return status;
  };
  const [patient, impatient] = [new AbortController(), new AbortController()];
  const first = Array.from({ length: maxConnectionsPerOrigin }, () => read(patient.signal));
  await until("all connections to be in use", () => waiting.length === maxConnectionsPerOrigin);
  const later = Array.from({ length: 4 }, () => read(patient.signal));
  const givenUp = read(impatient.signal);
  impatient.abort(new Error("enough"));
  await expect(givenUp).rejects.toThrow("enough");
  isAnswering = true;
  for (const answer of waiting) answer();
  expect(new Set(await Promise.all([...first, ...later]))).toEqual(new Set([200]));
  expect(new Set(upstream.seen.map(({ socket }) => socket)).size).toBe(maxConnectionsPerOrigin);
  await client.close();
});
