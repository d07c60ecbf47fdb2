/** Keys of servers, without a keychain directory. */

import type { Name } from "#ndn/packet/name.ts";
import type { Certificate } from "#ndn/trust/certificate.ts";
import { newKeyName, selfSign } from "#ndn/trust/issue-certificate.ts";
import { type Identity, newKey } from "#ndn/trust/keychain.ts";
import { createSigner } from "#ndn/trust/signed-data.ts";

/** An identity and its certificate as an object. */
export type TestIdentity = Identity & { readonly parsed: Certificate };

/** A new key with a certificate that it has signed itself. */
export async function makeIdentity(speaksFor: Name): Promise<TestIdentity> {
  const key = newKey();
  const certificate = await selfSign(key, newKeyName(speaksFor), Date.now());
  return {
    signer: createSigner(key, certificate.name),
    certificateName: certificate.certificateName,
    certificate: certificate.wire,
    digest: certificate.digest,
    validity: certificate.validity,
    certificates: [certificate],
    parsed: certificate,
  };
}
