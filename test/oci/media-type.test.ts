import { expect, test } from "vitest";
import { admits } from "#oci/media-type.ts";

const oci = "application/vnd.oci.image.manifest.v1+json";

test.each([
  [undefined, true],
  ["", true],
  ["*/*", true],
  [oci, true],
  [`text/html, ${oci}`, true],
  [oci.toUpperCase(), true],
  [`${oci};q=0.5`, true],
  ["application/*", true],
  ["text/*", false],
  ["application/json", false],
  [`${oci};q=0`, false],
  [`${oci};q=0.0, application/*`, false],
  [`${oci}, */*;q=0`, true],
  [" , ;q=1", false],
])("Accept: %s admits an OCI manifest: %s", (accept, isAdmitted) => {
  expect(admits(accept, oci)).toBe(isAdmitted);
  expect(admits(accept, `${oci}; charset=utf-8`)).toBe(isAdmitted);
});
