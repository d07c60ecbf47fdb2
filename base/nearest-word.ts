/**
 * "Did you mean …?": the word that was probably meant by a mistyped one.
 */

/** The one of `known` that was probably meant: `word` is its beginning, or at most a third of its letters differ. */
export function nearestWord(word: string, known: readonly string[]): string | undefined {
  const begun = known.find((candidate) => word.length > 2 && candidate.toLowerCase().startsWith(word.toLowerCase()));
  if (begun !== undefined) return begun;
  const ranked = known
    .map((candidate) => ({ candidate, distance: editDistance(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const [best] = ranked;
  return best && best.distance <= Math.max(1, best.candidate.length / 3) ? best.candidate : undefined;
}

/**
 * Letters to insert, remove, replace or swap with the next one (optimal string alignment); of long texts only the
 * beginning counts.
 */
function editDistance(a: string, b: string): number {
  const [from, to] = [a.slice(0, 64), b.slice(0, 64)];
  let before: number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, j) => j);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      const swapped = isSwap ? before[j - 2]! + 1 : replaced;
      next.push(Math.min(replaced, swapped, row[j]! + 1, next[j - 1]! + 1));
    }
    [before, row] = [row, next];
  }
  return row.at(-1)!;
}
