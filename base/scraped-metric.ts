/**
 * Metrics whose values are read when they are scraped, so that counting costs nothing on the hot path.
 */
import { Counter, Gauge, type Registry } from "prom-client";

/** A metric that is read: `counter` for what only grows while the process lives, whose name ends in `_total`. */
export interface ScrapedMetric {
  readonly type: "counter" | "gauge";
  readonly name: string;
  readonly help: string;
  /** Values by label; without labels one value with `{}`. */
  readonly read: () => Iterable<readonly [labels: Readonly<Record<string, string>>, value: number]>;
  /** @defaultValue none */
  readonly labelNames?: readonly string[];
}

/** Define it in `registry`. */
export function exposeScraped(registry: Registry, { type, name, help, labelNames = [], read }: ScrapedMetric): void {
  const common = { name, help, labelNames, registers: [registry] };
  if (type === "gauge") {
    new Gauge({
      ...common,
      collect() {
        for (const [labels, value] of read()) this.set(labels, value);
      },
    });
    return;
  }
  new Counter({
    ...common,
    collect() {
      this.reset();
      for (const [labels, value] of read()) this.inc(labels, value);
    },
  });
}
