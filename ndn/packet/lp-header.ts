/**
 * The link-layer header in front of an answer (NDNLPv2): only the PIT token is ever needed.
 */
import { sizeofVarNumber, TT, writeVarNumber } from "./tlv.ts";

/** Bytes that the header takes at most, with a PIT token of the longest length that NDNLPv2 allows. */
export const maxLpHeaderBytes = 1 + 5 + 2 + 32 + 1 + 3;

/**
 * Write the header of an LpPacket around `fragmentBytes` bytes that the caller writes behind it.
 *
 * @param token - Buffer that holds the PIT token in `[tokenStart, tokenEnd)`; an empty one writes no header at all.
 * @returns the offset behind the header.
 */
export function writeLpHeader(
  out: Buffer,
  at: number,
  token: Buffer,
  tokenStart: number,
  tokenEnd: number,
  fragmentBytes: number,
): number {
  const tokenBytes = tokenEnd - tokenStart;
  if (tokenBytes === 0) return at;
  const length = 2 + tokenBytes + 1 + sizeofVarNumber(fragmentBytes) + fragmentBytes;
  let offset = writeVarNumber(out, length, out.writeUInt8(TT.LpPacket, at));
  offset = out.writeUInt8(tokenBytes, out.writeUInt8(TT.LpPitToken, offset));
  offset += token.copy(out, offset, tokenStart, tokenEnd);
  return writeVarNumber(out, fragmentBytes, out.writeUInt8(TT.LpFragment, offset));
}
