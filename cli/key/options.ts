/**
 * Options of `ndn-registry key …`.
 */
import { switchedOn } from "../option.ts";
import { nonEmpty } from "../parsers.ts";
import { keychain } from "../shared-options.ts";

/** Options of `ndn-registry key show`. */
export const keyShowOptions = { keychain } as const;

/** Options of `ndn-registry key renew`. */
export const keyRenewOptions = {
  keychain,
  newKey: {
    flag: "new-key",
    value: "",
    switch: true,
    help: "A new key as well; the old one is kept in a folder beside.",
    parse: switchedOn,
  },
} as const;

/** Options of `ndn-registry key export`. */
export const keyExportOptions = {
  file: {
    flag: "file",
    value: "FILE",
    positional: true,
    help: "Where to write the certificate; standard output without it.",
    parse: nonEmpty,
  },
  keychain,
} as const;

/** Options of `ndn-registry key import`. */
export const keyImportOptions = {
  file: {
    flag: "file",
    value: "FILE",
    positional: true,
    required: true,
    help: "A SafeBag as ndnsec export writes it, or a certificate that was issued for the key that is here.",
    parse: nonEmpty,
  },
  keychain,
  passwordFile: {
    flag: "password-file",
    value: "FILE",
    help: "File that holds the SafeBag's passphrase, instead of DOCKER_NDN_SAFEBAG_PASSWORD.",
    parse: nonEmpty,
  },
  chain: {
    flag: "chain",
    value: "FILE",
    help: "Certificates of the issuers, to be published with it.",
    parse: nonEmpty,
  },
  replace: {
    flag: "replace",
    value: "",
    switch: true,
    help: "Replace the key that is there; it is kept in a folder beside.",
    parse: switchedOn,
  },
} as const;

/** Variables without a flag: secrets do not belong on command lines. */
export const keySecrets = {
  DOCKER_NDN_SAFEBAG_PASSWORD: "Passphrase of the SafeBag that ndn-registry key import reads.",
} as const;
