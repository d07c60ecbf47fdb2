/** What is not wanted of an answer is not waited for: pullers act on its head. */
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { RegistryClient } from "#oci/registry-client.ts";
import { startUpstream } from "../client/upstream/raw-upstream.ts";

const [path, digest] = ["/v2/team/app/manifests/latest", `sha256:${"0".repeat(64)}`];
const credentials = { username: "reader", password: "secret" };

test.each([
  ["a challenge", 401, { "www-authenticate": "Basic realm=x" }],
  ["a redirect", 307, { location: "/v2/team/app/manifests/moved" }],
  ["a redirect to elsewhere at the registry", 307, { location: "/storage/moved" }],
])(
  "%s whose body never ends is acted on",
  async (_what, status, headers) => {
    await using upstream = await startUpstream(({ url, headers: { authorization } }, response) => {
      const isDone = status === 401 ? authorization !== undefined : url!.endsWith("/moved");
      if (isDone) return void response.end("what is wanted");
      response.writeHead(status, headers).write("some of it");
    });
    const client = new RegistryClient({ base: upstream.url, credentials });
    const auth = { kind: "puller", value: undefined } as const;
    const options = { auth, patientWith: "answer", signal: AbortSignal.timeout(10_000) } as const;
    const { body } = await client.request("GET", path, options);
    expect(await text(body)).toBe("what is wanted");
    const blob = await client.getBlob("team/app", digest as never, options);
    expect(await text(blob.body)).toBe("what is wanted");
    await client.close();
  },
  15_000,
);
