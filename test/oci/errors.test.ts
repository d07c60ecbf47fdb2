import { expect, test } from "vitest";
import { errorJson, RegistryError } from "#oci/errors.ts";

test("a refusal has the code's status and the registry's JSON", () => {
  const error = new RegistryError("BLOB_UNKNOWN", "blob unknown", { detail: { digest: "sha256:00" } });
  expect(error.status).toBe(404);
  expect(JSON.stringify(error)).toBe(errorJson("BLOB_UNKNOWN", "blob unknown", { digest: "sha256:00" }));
  expect(JSON.parse(JSON.stringify(error))).toEqual({
    errors: [{ code: "BLOB_UNKNOWN", message: "blob unknown", detail: { digest: "sha256:00" } }],
  });
});

test("a status of its own and a cause are kept", () => {
  const cause = new Error("disk");
  const error = new RegistryError("UNAVAILABLE", "later", { status: 502, cause });
  expect([error.status, error.cause]).toEqual([502, cause]);
  expect(errorJson("UNAVAILABLE", "later")).toBe('{"errors":[{"code":"UNAVAILABLE","message":"later"}]}');
});
