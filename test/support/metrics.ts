/** Values of a Prometheus text exposition, by sample as written: `name{label="value"}`. */
export type Samples = ReadonlyMap<string, number>;

/** Parse what `/metrics` answers (Prometheus exposition format 0.0.4). */
export function parseMetrics(text: string): Samples {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(lines.map(parseSample));
}

/** Sum of the samples of one metric whose labels include these; 0 when there are none. */
export function sumOf(samples: Samples, metric: string, labels: Readonly<Record<string, string>> = {}): number {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return [...samples]
    .filter(([sample]) => sample === metric || sample.startsWith(`${metric}{`))
    .filter(([sample]) => wanted.every((pair) => sample.includes(`{${pair}`) || sample.includes(`,${pair}`)))
    .reduce((sum, [, value]) => sum + value, 0);
}

function parseSample(line: string): [string, number] {
  const end = line.lastIndexOf("}") + 1 || line.indexOf(" ");
  return [line.slice(0, end), Number(line.slice(end).trim().split(" ")[0])];
}
