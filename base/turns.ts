/**
 * Who is next: what waits, by whom it is wanted, so that one who wants much does not keep the others waiting.
 */

/** Items of several owners; the owners take turns, each one's items go first come, first served. */
export class TurnQueue<T> {
  readonly #byOwner = new Map<object, Set<T>>();
  readonly #owners = new Map<T, object>();

  /** How many items wait. */
  get size(): number {
    return this.#owners.size;
  }

  /** Add one that does not wait yet, behind those of the same owner. */
  add(owner: object, item: T): void {
    this.#owners.set(item, owner);
    const own = this.#byOwner.get(owner);
    if (own) own.add(item);
    else this.#byOwner.set(owner, new Set([item]));
  }

  /** Take one out, wherever it is; false when it is not there. */
  delete(item: T): boolean {
    const owner = this.#owners.get(item);
    if (owner === undefined) return false;
    this.#owners.delete(item);
    const own = this.#byOwner.get(owner)!;
    own.delete(item);
    if (own.size === 0) this.#byOwner.delete(owner);
    return true;
  }

  /** The next one that `mayGo`, taken out; its owner is the last one then. Undefined when there is none. */
  take(mayGo: (item: T) => boolean): T | undefined {
    for (const [owner, own] of this.#byOwner) {
      for (const item of own) {
        if (!mayGo(item)) continue;
        this.delete(item);
        this.#byOwner.delete(owner);
        if (own.size > 0) this.#byOwner.set(owner, own);
        return item;
      }
    }
    return undefined;
  }
}
