import fc from "fast-check";
import { expect, test } from "vitest";
import { parseChallenges } from "#oci/challenge.ts";

test("Docker Hub's challenge", () => {
  const header =
    'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"';
  expect(parseChallenges(header)).toEqual([
    {
      scheme: "bearer",
      parameters: {
        realm: "https://auth.docker.io/token",
        service: "registry.docker.io",
        scope: "repository:a/b:pull,push",
      },
    },
  ]);
});

test("several challenges in one line, others between them", () => {
  const header = 'Negotiate abc==, BASIC Realm = "a \\"b\\", c" , Digest nonce="x", Bearer realm=plain,service=s';
  expect(parseChallenges(header)).toEqual([
    { scheme: "basic", parameters: { realm: 'a "b", c' } },
    { scheme: "bearer", parameters: { realm: "plain", service: "s" } },
  ]);
});

test("several lines", () => {
  expect(parseChallenges(["Basic", 'Bearer realm="r"']).map(({ scheme }) => scheme)).toEqual(["basic", "bearer"]);
});

test("nothing, and nonsense, is no challenge", () => {
  for (const header of [undefined, "", ",,", "=", '"Bearer"', 'realm="x"']) expect(parseChallenges(header)).toEqual([]);
});

test("a parameter cannot reach an object's prototype", () => {
  const [challenge] = parseChallenges('Bearer __proto__="x",realm="r"');
  expect(challenge?.parameters.realm).toBe("r");
  expect(Object.keys(challenge!.parameters)).toContain("__proto__");
});

test("no header makes the parser throw", () => {
  const piece = fc.oneof(fc.constantFrom("Bearer ", "Basic ", 'realm="', '"', ",", "=", "\\", " "), fc.string());
  fc.assert(fc.property(fc.array(piece), (pieces) => void parseChallenges(pieces.join(""))));
});
