import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { singleRegistry } from "#client/registries/client-config.ts";
import { ConfigError, readClientConfig } from "#client/registries/config.ts";
import { formatName, parseName } from "#ndn/packet/name.ts";
import { makeTemporaryFolder, type TemporaryFolder } from "#test/support/tmp.ts";

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  await writeFile(join(folder.path, "anchor.crt"), "certificate");
  await writeFile(join(folder.path, "password"), "hunter2", { mode: 0o600 });
});
afterAll(() => folder[Symbol.asyncDispose]());

const env = { HUB_PASSWORD: "hunter2" };

async function read(text: string, context = {}) {
  const file = join(folder.path, "config.yaml");
  await writeFile(file, text);
  await chmod(file, 0o600);
  return readClientConfig(file, { env, ...context });
}

/** What is wrong with `text`, line by line, without the file's name. */
async function mistakes(text: string): Promise<string[]> {
  const failure = (await read(text).catch((err: unknown) => err)) as Error;
  expect(failure).toBeInstanceOf(ConfigError);
  expect(failure.message).not.toContain("hunter2");
  return failure.message.split("\n").map((line) => line.replace(`${join(folder.path, "config.yaml")}:`, ""));
}

test("everything that can be said is read", async () => {
  const hash = `sha256:${"aB".repeat(32)}`;
  const config = await read(`
default: ghcr.io
registries:
  docker.io:
    name: /ndn/hub
    anchors: [anchor.crt, "${hash}"]
    credentials:
      username: ann
      passwordFile: password
    offline: anyone
    prefetch: true
  ghcr.io:
    upstream: https://mirror.example/base/
    credentials: docker-config
    authorize: none
  localhost:5001:
    upstream: http://localhost:5001
    credentials: {username: ann, passwordEnv: HUB_PASSWORD}
    forwardAuthorization: true
`);
  expect(config.warnings).toEqual([]);
  expect([config.default, ...config.registries.keys()]).toEqual(["ghcr.io", "docker.io", "ghcr.io", "localhost:5001"]);
  const hub = config.registries.get("docker.io")!;
  expect(formatName(hub.name!)).toBe("/ndn/hub");
  expect(hub).toMatchObject({
    registry: "docker.io",
    upstream: new URL("https://registry-1.docker.io"),
    anchors: [join(folder.path, "anchor.crt"), hash.toLowerCase()],
    credentials: { kind: "password-file", username: "ann", file: join(folder.path, "password") },
    authorize: "upstream",
    offline: "anyone",
    prefetch: true,
    forwardAuthorization: false,
  });
  expect(config.registries.get("ghcr.io")).toMatchObject({
    upstream: new URL("https://mirror.example/base/"),
    name: undefined,
    credentials: { kind: "docker-config" },
    authorize: "none",
    offline: "known-pullers",
    prefetch: false,
    forwardAuthorization: true,
  });
  expect(config.registries.get("localhost:5001")).toMatchObject({
    credentials: { kind: "password-variable", username: "ann", variable: "HUB_PASSWORD" },
    forwardAuthorization: true,
  });
});

test("a name is enough; the first registry is the default one; options are for all that say nothing", async () => {
  const config = await read("registries:\n  ghcr.io:\n  quay.io: {offline: anyone}\n", {
    defaults: { offline: "nobody" },
  });
  expect(config.default).toBe("ghcr.io");
  expect(config.registries.get("ghcr.io")).toMatchObject({ upstream: new URL("https://ghcr.io"), offline: "nobody" });
  expect(config.registries.get("quay.io")!.offline).toBe("anyone");
});

test("without a file there is one registry, by the name of its upstream", () => {
  const config = singleRegistry({ upstream: new URL("https://registry-1.docker.io"), authorize: "none" });
  expect([...config.registries.keys()]).toEqual([config.default]);
  expect(config.registries.get("docker.io")).toMatchObject({ authorize: "none", forwardAuthorization: true });
});

test("a registry without an upstream is open to all, and asked over NDN as is said of it", async () => {
  const text =
    "registries: {site.example: {upstream: none, name: /site, anchors: [anchor.crt], authorize: upstream, maxAge: 5, staleTags: 90m}}";
  const { registries } = await read(text);
  expect(registries.get("site.example")).toMatchObject({
    upstream: undefined,
    authorize: "none",
    manifests: "fallback",
    maxAgeMs: 5_000,
    staleTagsMs: 5_400_000,
  });
  const config = singleRegistry({ upstream: undefined, name: parseName("/Example/registry-1"), anchors: ["x"] });
  expect(config.registries.get(config.default)).toMatchObject({
    registry: "ndn.example.registry.1",
    authorize: "none",
  });
});

test("authorities, and a certificate with its key, are files beside the configuration", async () => {
  const text = "registries: {ghcr.io: {ca: anchor.crt, cert: anchor.crt, key: password}, quay.io: {ca: anchor.crt}}";
  const { registries } = await read(text);
  const [file, key] = ["anchor.crt", "password"].map((name) => join(folder.path, name));
  expect(registries.get("ghcr.io")!.tls).toEqual({ ca: file, cert: file, key });
  expect(registries.get("quay.io")!.tls).toEqual({ ca: file, cert: undefined, key: undefined });
});

test.each<[string, string, string[]]>([
  [
    "pulls over NDN that no one could believe",
    `registries:
  a.example:
    upstream: none
    name: /a
  b.example:
    manifests: ndn
  c.example:
    name: /c
    anchors: [anchor.crt]
    manifests: ndn
    staleTags: soon
`,
    [
      "3:15: registries.a.example.upstream: without an upstream there must be a name, and anchors: else nothing on NDN is believed",
      "6:16: registries.b.example.manifests: ndn needs anchors: without them nothing on NDN is believed",
      '11:16: registries.c.example.staleTags: "soon" is none of never, forever and a time such as 24h',
    ],
  ],
  [
    "servers on NDN that would have to know who pulls",
    "registries: {c.example: {name: /c, anchors: [anchor.crt], manifests: ndn}}\n",
    ["1:70: registries.c.example.manifests: ndn needs authorize: none, as servers on NDN do not know who pulls"],
  ],
  [
    "certificates that are of no use",
    `registries:
  docker.io:
    cert: anchor.crt
  ghcr.io:
    ca: missing.pem
    upstream: https://ghcr.io/v2/
`,
    [
      "3:11: registries.docker.io.cert: cert and key go together",
      "6:15: registries.ghcr.io.upstream: /v2/ is added to each request: leave it out",
    ],
  ],
  [
    "values that are of no use",
    `registries:
  docker.io:
    upstream: ftp://x
    name: ndn
    authorize: me
    prefetch: yes please
    anchors: anchor.crt
`,
    [
      "3:15: registries.docker.io.upstream: this is not an http or https URL (example: https://registry.example)",
      '4:11: registries.docker.io.name: not an NDN name in URI form: "ndn" (example: /example/registry)',
      "5:16: registries.docker.io.authorize: this is not one of upstream, none",
      "6:15: registries.docker.io.prefetch: this is not true or false",
      "7:14: registries.docker.io.anchors: a list is needed: files, or sha256:HEX",
    ],
  ],
  [
    "keys that are not known",
    `registry: {}
registries:
  docker.io:
    upstreem: https://x
    colour: blue
    credentials:
      user: ann
      passwordFile: password
`,
    [
      "1:1: registry: there is no such key; did you mean registries?",
      "4:5: registries.docker.io.upstreem: there is no such key; did you mean upstream?",
      "5:5: registries.docker.io.colour: there is no such key; known are upstream, name, anchors, credentials, authorize, offline, prefetch, manifests, maxAge, staleTags, forwardAuthorization, ca, cert, key",
      "7:7: registries.docker.io.credentials.username: this is missing",
      "7:7: registries.docker.io.credentials.user: there is no such key; did you mean username?",
    ],
  ],
  [
    "names that are no registry's",
    "registries:\n  library: {}\n  registry-1.docker.io: {}\n  https://ghcr.io: {}\n  GHCR.io: {}\n",
    [
      "2:3: registries.library: the name of a registry is a host in lower case, such as ghcr.io or localhost:5001",
      "3:3: registries.registry-1.docker.io: this registry is written docker.io here",
      "4:3: registries.https://ghcr.io: the name of a registry is a host in lower case, such as ghcr.io or localhost:5001",
      "5:3: registries.GHCR.io: the name of a registry is a host in lower case, such as ghcr.io or localhost:5001",
    ],
  ],
  [
    "secrets in the wrong place",
    `registries:
  a.io: {upstream: "https://ann:hunter2@a.io"}
  b.io: {credentials: {username: ann, password: hunter2, passwordFile: password}}
  c.io: {credentials: {username: ann, passwordEnv: hunter2}}
  d.io: {credentials: {username: ann, passwordFile: hunter2}}
  e.io: {credentials: hunter2}
  f.io: {credentials: {username: ann}}
`,
    [
      "2:20: registries.a.io.upstream: a login does not belong into the URL: use credentials",
      "3:39: registries.b.io.credentials.password: no secret belongs into this file: use passwordFile or passwordEnv",
      "6:23: registries.e.io.credentials: docker-config, or username and passwordFile, is needed",
      "7:23: registries.f.io.credentials: give either passwordFile or passwordEnv",
    ],
  ],
  [
    "a default that is not there",
    "default: docker.io\nregistries:\n  ghcr.io:\n",
    ["1:10: default: this is none of the registries ghcr.io"],
  ],
  [
    "anchors without a name",
    "registries:\n  a.io: {anchors: [anchor.crt]}\n",
    ["2:19: registries.a.io.anchors: anchors are of use only with a name"],
  ],
  [
    "an anchor's digest cut short",
    "registries:\n  a.io: {name: /a, anchors: ['sha256:00']}\n",
    ["2:30: registries.a.io.anchors.0: sha256: is followed by 64 hexadecimal digits"],
  ],
  ["no registries", "registries: {}\n", ["1:13: registries: at least one registry is needed"]],
  ["nothing at all", "", ["1:1: registries: a map of registries is needed"]],
  ["a list", "- a\n", ["1:1: a map is needed"]],
  [
    "an alias of nothing",
    "registries:\n  a.io: {credentials: *hunter2}\n",
    ["2:23: this alias stands for nothing before it"],
  ],
  ["a key twice", "registries:\n  a.io: {}\n  a.io: {}\n", ["3:3: Map keys must be unique"]],
])("%s: each mistake has its line", async (_, text, expected) => {
  expect(await mistakes(text)).toEqual(expected);
});

test("variables and files that are not there are mistakes too, without being quoted", async () => {
  const text = `registries:
  c.io: {credentials: {username: ann, passwordEnv: hunter2}}
  d.io: {credentials: {username: ann, passwordFile: hunter2}}
`;
  expect(await mistakes(text)).toEqual([
    "2:52: registries.c.io.credentials.passwordEnv: the environment has no such variable",
    `3:53: registries.d.io.credentials.passwordFile: this file cannot be read (ENOENT; it is looked for from ${folder.path})`,
  ]);
});

test("syntax errors have their line, and ten mistakes are enough", async () => {
  expect(await mistakes("registries:\n  docker.io: [\n")).toEqual([expect.stringMatching(/^\d:\d+: /)]);
  const many = Array.from({ length: 13 }, (_, i) => `  r${i}.io: {offline: ${i}}`);
  const lines = await mistakes(`registries:\n${many.join("\n")}\n`);
  expect(lines).toHaveLength(11);
  expect(lines.at(-1)).toBe("and 3 more");
});

test("an alias is checked where it was written first", async () => {
  const text = "registries:\n  a.io: &one {offline: never}\n  b.io: *one\n";
  expect(await mistakes(text)).toEqual([
    expect.stringMatching(/^2:24: registries\.a\.io\.offline/),
    expect.stringMatching(/^2:24: registries\.b\.io\.offline/),
  ]);
});

test("a file that is not there says so", () => {
  expect(() => readClientConfig(join(folder.path, "absent"), { env })).toThrow(/absent: cannot be read: ENOENT/);
});

test("files that others can read or change are warned of", async () => {
  const file = join(folder.path, "open.yaml");
  const password = join(folder.path, "open-password");
  await writeFile(password, "hunter2");
  await chmod(password, 0o644);
  await writeFile(file, "registries:\n  a.io: {credentials: {username: ann, passwordFile: open-password}}\n");
  await chmod(file, 0o646);
  const { warnings } = readClientConfig(file, { env });
  expect(warnings.map((warning) => warning.split(" ")[0])).toEqual([password, file, file]);
  expect(warnings.join()).not.toContain("hunter2");
  await writeFile(file, "registries:\n  a.io:\n");
  await chmod(file, 0o644);
  expect(readClientConfig(file, { env }).warnings).toEqual([]);
});
