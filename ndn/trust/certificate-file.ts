/**
 * Certificates in files: base64 as `ndnsec` writes it, one or several after each other; bare packets and ndnd's
 * `NDN CERT` armour are read as well.
 */
import { readElements, TT } from "../packet/tlv.ts";
import { type Certificate, readCertificate } from "./certificate.ts";

const armour = /-----BEGIN NDN CERT-----([\s\S]*?)-----END NDN CERT-----/g;

/** The form in which certificates are written: base64 on one line each. */
export function formatCertificates(certificates: readonly { readonly wire: Uint8Array }[]): string {
  return certificates.map(({ wire }) => `${Buffer.from(wire).toString("base64")}\n`).join("");
}

/** All certificates in a file. @throws Error when there is none, or anything else is in it. */
export function parseCertificates(file: Uint8Array): Certificate[] {
  const bytes = decodeFile(file, TT.Data);
  const packets = bytes && readElements(bytes);
  if (bytes === undefined || packets === undefined || packets.length === 0) {
    throw new Error("not an NDN certificate in base64");
  }
  return packets.map(({ at, end }) => readCertificate(bytes.subarray(at, end)));
}

/** The bytes of a file that holds TLV elements, the first one of `type`, bare or in base64; undefined for others. */
export function decodeFile(file: Uint8Array, type: number): Buffer | undefined {
  if (file[0] === type) return Buffer.from(file);
  const text = Buffer.from(file).toString("latin1");
  const armoured = [...text.matchAll(armour)].map(([, body]) => body!.replace(/^[^\n]*:.*$/gm, ""));
  const bytes = fromBase64(armoured.length > 0 ? armoured.join("\n") : text);
  return bytes?.[0] === type ? bytes : undefined;
}

/** Padding ends one run of base64; another may follow. */
function fromBase64(text: string): Buffer | undefined {
  const runs = text.replace(/\s/g, "").match(/[A-Za-z0-9+/]+={0,2}|[\s\S]/g) ?? [];
  if (runs.some((run) => !/^[A-Za-z0-9+/]/.test(run) || run.length % 4 !== 0)) return undefined;
  return Buffer.concat(runs.map((run) => Buffer.from(run, "base64")));
}
