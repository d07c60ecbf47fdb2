import { describe, expect, test } from "vitest";
import { clientOptions } from "#cli/client-options.ts";
import { OptionError, readOptions, variableOf } from "#cli/option.ts";
import { serverOptions } from "#cli/server-options.ts";
import { startOptions } from "#cli/start-options.ts";

const client = { name: "/n", upstream: "http://upstream.example" };
const server = { name: "/n", registry: "http://registry.example" };

describe("a value comes", () => {
  test("from the flag before the environment", () => {
    const env = { DOCKER_NDN_MAX_CWND: "10", DOCKER_NDN_NAME: "/env" };
    const values = readOptions(clientOptions, { ...client, "max-cwnd": "20" }, env);
    expect(values.maxCwnd).toBe(20);
    expect(values.name!.toString()).toContain("n");
  });

  test("from DOCKER_NDN_* before the predecessor's variable", () => {
    const env = { NDNTS_KEYCHAIN: "/old", DOCKER_NDN_KEYCHAIN: "/new" };
    expect(readOptions(serverOptions, server, env).keychain).toBe("/new");
  });

  test("from the predecessor's variable before the default", () => {
    const env = { NDNTS_KEYCHAIN: "/old", NDNTS_UPLINK: "unix:///old.sock" };
    const values = readOptions(serverOptions, server, env);
    expect(values.keychain).toBe("/old");
    expect(values.uplink.map(({ text }) => text)).toEqual(["unix:///old.sock"]);
  });

  test("from the default at last", () => {
    const values = readOptions(startOptions, {}, {});
    expect(values.listen).toEqual([{ host: "127.0.0.1", port: 5000 }]);
    expect(values.upstream.href).toBe("https://registry-1.docker.io/");
    expect([values.chunkSize, values.authorize, values.keychain]).toEqual([8192, "upstream", "./runtime/keychain"]);
    expect([values.uplink, values.stallTimeout]).toEqual([[], undefined]);
  });

  test("from nowhere when the variable is empty", () => {
    expect(readOptions(clientOptions, client, { DOCKER_NDN_MAX_CWND: "" }).maxCwnd).toBeUndefined();
  });
});

describe("a list", () => {
  test("is comma-separated in the environment, with spaces and empty items left out", () => {
    const env = { DOCKER_NDN_PUBLISH: "team/*, public/**,,", DOCKER_NDN_FACE: "tcp://0.0.0.0:1,unix:///a" };
    const values = readOptions(serverOptions, server, env);
    expect(values.publish).toEqual(["team/*", "public/**"]);
    expect(values.face.map(({ text }) => text)).toEqual(["tcp://0.0.0.0:1", "unix:///a"]);
  });

  test("of flags replaces that of the environment", () => {
    const values = readOptions(serverOptions, { ...server, publish: ["a", "b"] }, { DOCKER_NDN_PUBLISH: "c" });
    expect(values.publish).toEqual(["a", "b"]);
  });
});

test("addresses to listen on are those of other tools", () => {
  const listen = ["127.0.0.1:1", "[::1]:2", ":3", "*:3", "localhost:4", "unix:///run/client.sock"];
  expect(readOptions(clientOptions, { ...client, listen }, {}).listen).toEqual([
    { host: "127.0.0.1", port: 1 },
    { host: "::1", port: 2 },
    { host: "", port: 3 },
    { host: "", port: 3 },
    { host: "localhost", port: 4 },
    { path: "/run/client.sock" },
  ]);
  const env = { DOCKER_NDN_LISTEN: ":1, unix:///a.sock" };
  expect(readOptions(clientOptions, client, env).listen).toEqual([{ host: "", port: 1 }, { path: "/a.sock" }]);
  expect(readOptions(serverOptions, { ...server, status: "[::]:9" }, {}).status).toEqual({ host: "::", port: 9 });
});

test("what is read is frozen", () => {
  const values = readOptions(serverOptions, { ...server, publish: ["a"] }, {});
  expect([Object.isFrozen(values), Object.isFrozen(values.publish)]).toEqual([true, true]);
});

test.each([
  [{ "max-cwnd": "0" }, /--max-cwnd: "0" is not a whole number from 1/],
  [{ "max-cwnd": "1e3" }, /--max-cwnd/],
  [{ "max-window": "1MiB" }, /--max-window: .*less than 4.0 MiB/],
  [{ "max-window": "much" }, /--max-window/],
  [{ "stall-timeout": "-1" }, /--stall-timeout: "-1" is not a number above 0/],
  [{ "stall-timeout": "Infinity" }, /--stall-timeout/],
  [{ listen: "5000" }, /--listen: "5000" is not HOST:PORT/],
  [{ listen: "host:99999" }, /--listen/],
  [{ listen: ["a:1", "::1:2"] }, /--listen: "::1:2" is not HOST:PORT/],
  [{ listen: "unix://client.sock" }, /--listen: "unix:\/\/client.sock" is not unix:\/\/\/PATH/],
  [{ listen: "unix:///run/" }, /--listen: .* is not unix:\/\/\/PATH/],
  [{ authorize: ["none", "none"] }, /--authorize may be given only once/],
  [{ authorize: "maybe" }, /--authorize: "maybe" is not one of upstream, none/],
  [{ name: "no-slash" }, /--name: not an NDN name/],
  [{ upstream: "ftp://host" }, /--upstream: "ftp:\/\/host" is not an http/],
  [{ uplink: ["http://host"] }, /--uplink: not a face URL/],
  [{ "log-level": "loud" }, /--log-level/],
])("%j is an OptionError that names the option", (flags, message) => {
  expect(() => readOptions(clientOptions, { ...client, ...flags }, {})).toThrow(OptionError);
  expect(() => readOptions(clientOptions, { ...client, ...flags }, {})).toThrow(message);
});

test("an error in the environment names the variable", () => {
  expect(() => readOptions(serverOptions, server, { DOCKER_NDN_CHUNK_SIZE: "4096" })).toThrow(
    /DOCKER_NDN_CHUNK_SIZE: "4096" is not one of 8192, 1200/,
  );
  expect(() => readOptions(serverOptions, server, { NDNTS_UPLINK: "x" })).toThrow(/NDNTS_UPLINK: not a face URL/);
});

test("faces are accepted over UDP as well, and what is no face is refused before anything starts", () => {
  const { face } = readOptions(serverOptions, { ...server, face: ["udp://0.0.0.0:6363"] }, {});
  expect(face.map(({ text }) => text)).toEqual(["udp://0.0.0.0:6363"]);
  expect(() => readOptions(serverOptions, { ...server, face: ["http://0.0.0.0:6363"] }, {})).toThrow(/--face/);
});

test("a missing option says how to give it", () => {
  expect(() => readOptions(serverOptions, { name: "/n" }, {})).toThrow(
    /--registry URL is required \(or DOCKER_NDN_REGISTRY\)/,
  );
});

test("a password in a URL is refused and not repeated", () => {
  for (const upstream of ["https://me:secret@host", "ftp://me:secret@host", "https://me:secret@host/?a=b"]) {
    try {
      readOptions(clientOptions, { ...client, upstream }, {});
      expect.unreachable();
    } catch (err: unknown) {
      expect(String(err)).not.toContain("secret");
    }
  }
});

test("the variable of a flag is its name in capitals", () => {
  expect(variableOf("stall-timeout")).toBe("DOCKER_NDN_STALL_TIMEOUT");
});
