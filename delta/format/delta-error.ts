/** The delta is damaged, hostile, of a later version or for another base: take the layer as it is. */
export class DeltaError extends Error {
  override readonly name = "DeltaError";
}
