/**
 * Rings: arrays in which number `n` has the place `n` modulo their length, for a window of numbers that moves on.
 */
interface Ring<T> {
  readonly length: number;
  [place: number]: T;
}

/** Copy what a ring has for the numbers from `first` on, which is all of it, to their places in a larger one. */
export function copyRing<T>(from: Ring<T>, to: Ring<T>, first: number): void {
  for (let n = first; n < first + from.length; n++) to[n % to.length] = from[n % from.length]!;
}
