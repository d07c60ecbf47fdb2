/**
 * Line charts as SVG, for documents.
 */

/** What a chart shows. */
export interface Chart {
  readonly title: string;
  /** Below the axes: what x is, with its unit. */
  readonly xLabel: string;
  /** Above the y axis. */
  readonly yLabel: string;
  /** Ascending from 0. */
  readonly xs: readonly number[];
  /** At equal distances, with a dot for each value; or where they are on an axis, with lines alone. */
  readonly scale: "each" | "linear";
  readonly series: readonly Series[];
}

/** One line. */
export interface Series {
  readonly name: string;
  /** One for each x, from 0; undefined where nothing was measured. */
  readonly values: readonly (number | undefined)[];
}

const width = 720;
const height = 360;
/** Room around the plot: the legend is on its right. */
const margin = { left: 60, right: 190, top: 50, bottom: 50 };
const plot = { width: width - margin.left - margin.right, height: height - margin.top - margin.bottom };
/** Told apart also by those who do not see colours well (Okabe and Ito). */
const colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"];

/** Charts side by side, in rows of so many, as a document of its own, on white, so that it can be read on any page. */
export function chartSheet(charts: readonly Chart[], columns = 1): string {
  const rows = Math.ceil(charts.length / columns);
  const size = { width: columns * width, height: rows * height };
  const placed = charts.map(
    (chart, nth) => `<g transform="translate(${(nth % columns) * width} ${Math.floor(nth / columns) * height})">
${lineChart(chart)}
</g>`,
  );
  const box = `width="${size.width}" height="${size.height}" viewBox="0 0 ${size.width} ${size.height}"`;
  const font = 'font-family="sans-serif" font-size="12" fill="#222"';
  const title = `<title>${escaped(charts.map((chart) => chart.title).join("; "))}</title>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${box} ${font}>\n${title}\n${placed.join("\n")}\n</svg>\n`;
}

function lineChart(chart: Chart): string {
  const values = chart.series.flatMap((series) => series.values.filter((value) => value !== undefined));
  const step = niceStep(Math.max(...values, 1));
  const top = Math.ceil(Math.max(...values, 1) / step) * step;
  const place: Place = {
    x: (index) => Math.round(margin.left + plot.width * shareOfX(chart, index)),
    y: (value) => Math.round(margin.top + plot.height * (1 - value / top)),
  };
  return [
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    text(margin.left, 20, chart.title, 'font-weight="bold"'),
    text(margin.left, margin.top - 10, chart.yLabel),
    ...grid(step, top, place),
    ...ticks(chart),
    text(margin.left + plot.width / 2, height - 12, chart.xLabel, middle),
    ...chart.series.flatMap((series, index) => line(series, index, place, chart.scale === "each")),
  ].join("\n");
}

/** How far right a value is, 0 to 1. */
function shareOfX({ xs, scale }: Chart, index: number): number {
  return scale === "each" ? (index + 0.5) / xs.length : xs[index]! / xs.at(-1)!;
}

function* ticks({ xs, scale }: Chart): Generator<string> {
  const last = xs.at(-1) ?? 1;
  const step = niceStep(last);
  const shown = scale === "each" ? xs : Array.from({ length: Math.floor(last / step) + 1 }, (_, nth) => nth * step);
  for (const [index, x] of shown.entries()) {
    const share = scale === "each" ? (index + 0.5) / xs.length : x / last;
    yield text(Math.round(margin.left + plot.width * share), height - margin.bottom + 18, exact(x), middle);
  }
}

/** Where something is in the picture, in whole pixels. */
interface Place {
  readonly x: (index: number) => number;
  readonly y: (value: number) => number;
}

const middle = 'text-anchor="middle"';

/** 1, 2 or 5 times a power of ten, so that there are four to ten of them. */
function niceStep(highest: number): number {
  const power = 10 ** Math.floor(Math.log10(highest));
  const digit = highest / power;
  if (digit >= 5) return power;
  return digit >= 2 ? power / 2 : power / 5;
}

function* grid(step: number, top: number, { y }: Pick<Place, "y">): Generator<string> {
  for (let nth = 0; nth * step <= top; nth++) {
    const at = y(nth * step);
    yield `<path d="M${margin.left} ${at}h${plot.width}" stroke="#ddd"/>`;
    yield text(margin.left - 8, at + 4, exact(nth * step), 'text-anchor="end"');
  }
}

/** As it is meant: 0.1 * 3 is not 0.3. */
function exact(value: number): string {
  return String(Number(value.toPrecision(6)));
}

function line({ name, values }: Series, index: number, { x, y }: Place, hasDots: boolean): string[] {
  const colour = colours[index % colours.length]!;
  const points = values.flatMap((value, nth) => (value === undefined ? [] : [{ x: x(nth), y: y(value) }]));
  const path = points.map((point) => `${point.x} ${point.y}`).join("L");
  const legend = { x: width - margin.right + 15, y: margin.top + 10 + 20 * index };
  return [
    ...(points.length === 0 ? [] : [`<path d="M${path}" fill="none" stroke="${colour}" stroke-width="2"/>`]),
    ...(hasDots ? points.map((point) => dot(point, colour)) : []),
    dot(legend, colour),
    text(legend.x + 12, legend.y + 4, name),
  ];
}

function dot({ x, y }: { x: number; y: number }, colour: string): string {
  return `<circle cx="${x}" cy="${y}" r="4" fill="${colour}"/>`;
}

function text(x: number, y: number, content: string, attributes = 'text-anchor="start"'): string {
  return `<text x="${x}" y="${y}" ${attributes}>${escaped(content)}</text>`;
}

function escaped(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
