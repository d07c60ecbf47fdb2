import { isDeepStrictEqual } from "node:util";
import { expect } from "vitest";
import { describeOutcome, outcomeOf } from "./outcome.ts";

/** Where something is done: straight at a registry, and through the client in front of it. */
export interface Side {
  readonly registry: { readonly url: string; readonly host: string };
  readonly client: { readonly url: string; readonly host: string };
}

/** One cell of the table. */
export interface Cell {
  readonly program: string;
  readonly action: string;
  /** Registry and login: the column. */
  readonly access: string;
  /** What {@link describeOutcome} says of it. */
  readonly expected: RegExp;
  readonly side: Side;
  /** Do it at `host`; resolves with what has to be the same. */
  readonly act: (host: string) => Promise<unknown>;
}

/** Things that were done straight and through the client, as a table. */
export class Comparison {
  readonly #rows = new Map<string, Record<string, string>>();

  /** Do it straight and through the client: both come to the same, which is what was expected. */
  async expectSame({ program, action, access, expected, side, act }: Cell): Promise<void> {
    const straight = await outcomeOf(() => act(side.registry.host));
    const through = await outcomeOf(() => act(side.client.host));
    const equals = isDeepStrictEqual(straight, through) ? "=" : "≠";
    const row = this.#rows.get(`${program} ${action}`) ?? { program, action };
    row[access] = [straight, through].map(describeOutcome).join(` ${equals} `);
    this.#rows.set(`${program} ${action}`, row);
    expect(through).toEqual(straight);
    expect(describeOutcome(through)).toMatch(expected);
  }

  print(): void {
    console.table([...this.#rows.values()]);
  }
}
