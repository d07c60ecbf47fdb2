/**
 * Keys, certificates and signed packets made by NDNts: the second implementation that ours is held against.
 */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import {
  Certificate,
  CertNaming,
  createVerifier,
  ECDSA,
  Ed25519,
  generateSigningKey,
  type NamedSigner,
  RSA,
} from "@ndn/keychain";
import { Component, Data, Name, SigInfo, type Signer, ValidityPeriod } from "@ndn/packet";
import { Decoder, Encoder } from "@ndn/tlv";
import { readCertificate } from "#ndn/trust/certificate.ts";

/** The moment at which tests take place. */
export const nowMs = Date.UTC(2030, 0, 1);
const dayMs = 86_400_000;
let serial = 0;

/** Kinds of key, each with a maker of key pairs. */
export const kinds = {
  "ECDSA P-256": [ECDSA, () => generateKeyPairSync("ec", { namedCurve: "P-256" })],
  "ECDSA P-384": [ECDSA, () => generateKeyPairSync("ec", { namedCurve: "P-384" })],
  "RSA 2048": [RSA, () => generateKeyPairSync("rsa", { modulusLength: 2048 })],
  Ed25519: [Ed25519, () => generateKeyPairSync("ed25519")],
} as const;
export type Kind = keyof typeof kinds;

/** Settings of a certificate. */
export interface CertificateOptions {
  readonly kind?: Kind;
  /** Who signs; itself without it. */
  readonly issuer?: Authority;
  /** What its KeyLocator says. @defaultValue the issuer's certificate name */
  readonly locator?: string | Name;
  readonly fromMs?: number;
  readonly toMs?: number;
}

/** Someone with a key and a certificate for it. */
export class Authority {
  readonly certificate: Certificate;
  readonly privateKey: KeyObject;
  readonly keyName: Name;
  private readonly named: NamedSigner.PrivateKey;

  private constructor(certificate: Certificate, privateKey: KeyObject, named: NamedSigner.PrivateKey) {
    this.certificate = certificate;
    this.privateKey = privateKey;
    this.keyName = CertNaming.toKeyName(certificate.name);
    this.named = named;
  }

  static async make(identity: string, options: CertificateOptions = {}): Promise<Authority> {
    const [algorithm, makePair] = kinds[options.kind ?? "ECDSA P-256"];
    const { privateKey, publicKey } = makePair();
    const spki = new Uint8Array(publicKey.export({ type: "spki", format: "der" }));
    const pkcs8 = new Uint8Array(privateKey.export({ type: "pkcs8", format: "der" }));
    const keyName = CertNaming.makeKeyName(Name.from(identity), { keyId: new Component(8, `k${++serial}`) });
    // NDNts cannot infer one type for all algorithms.
    const [named] = await generateSigningKey(keyName, algorithm as typeof ECDSA, { importPkcs8: [pkcs8, spki] });
    return new Authority(await certify(keyName, spki, named, options), privateKey, named);
  }

  /** The same key with another certificate. */
  async again(options: CertificateOptions): Promise<Authority> {
    const made = await certify(this.keyName, this.certificate.publicKeySpki, this.named, options);
    return new Authority(made, this.privateKey, this.named);
  }

  /** Issue a certificate for the key in another certificate, in our view of it. */
  async certify(certificate: Uint8Array, options: CertificateOptions) {
    const { name, content } = new Decoder(certificate).decode(Data);
    const made = await certify(CertNaming.toKeyName(name), content, this.named, { ...options, issuer: this });
    return readCertificate(wireOf(made.data));
  }

  get wire(): Buffer {
    return wireOf(this.certificate.data);
  }

  get name(): string {
    return this.certificate.name.toString();
  }

  /** Our view of the certificate. */
  get ours() {
    return readCertificate(this.wire);
  }

  signer(locator: string | Name = this.certificate.name): Signer {
    return this.named.withKeyLocator(Name.from(locator));
  }

  /** A signed Data. */
  async sign(name: string, locator?: string | Name): Promise<Buffer> {
    const data = new Data(name, Data.FreshnessPeriod(1000), Buffer.from("content"));
    data.sigInfo = new SigInfo(SigInfo.Time(nowMs));
    await this.signer(locator).sign(data);
    return wireOf(data);
  }

  /** What NDNts makes of a packet. */
  async ndntsVerify(data: Data): Promise<void> {
    await (await createVerifier(this.certificate, { checkValidity: false, algoList: [ECDSA, RSA, Ed25519] })).verify(
      data,
    );
  }
}

async function certify(
  keyName: Name,
  publicKeySpki: Uint8Array,
  own: NamedSigner.PrivateKey,
  options: CertificateOptions,
) {
  const { issuer, fromMs = nowMs - dayMs, toMs = nowMs + 365 * dayMs } = options;
  const signer = issuer ? issuer.signer(options.locator) : own.withKeyLocator(Name.from(options.locator ?? keyName));
  const name = CertNaming.makeCertName(keyName, {
    issuerId: new Component(8, issuer ? "issuer" : "self"),
    version: new Component(54, Buffer.of(++serial)),
  });
  return Certificate.build({ name, validity: new ValidityPeriod(fromMs, toMs), publicKeySpki, signer });
}

/** What goes on the wire. */
export function wireOf(data: Data): Buffer {
  return Buffer.from(Encoder.encode(data));
}
