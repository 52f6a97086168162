/** The geometry of charts. */

export interface Point {
  x: number;
  y: number;
}

/** The smallest of 1, 2, 2.5, 4, 5, 8 × 10ⁿ that is not less. */
export function niceCeiling(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const factor = [1, 2, 2.5, 4, 5, 8, 10].find((step) => step * power >= value - 1e-9) ?? 10;
  return factor * power;
}

/** From three to six ticks from 0 to the top. */
export function stepTicks(top: number): number[] {
  const count = [5, 4].find((parts) => Number.isInteger((top / parts) * 2)) ?? 4;
  return Array.from({ length: count + 1 }, (_, index) => (top / count) * index);
}

const STEPS_MS = [1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400].map((s) => s * 1000);

/** Round times within the range, at most so many. */
export function timeTicks(from: number, to: number, most: number): number[] {
  const step = STEPS_MS.find((candidate) => (to - from) / candidate <= most) ?? 86_400_000;
  const first = Math.ceil(from / step) * step;
  const ticks: number[] = [];
  for (let at = first; at <= to; at += step) ticks.push(at);
  return ticks;
}

/** The line through the points, and the area below it, as SVG paths. */
export function area(points: Point[], x: (at: number) => number, y: (value: number) => number, floor: number, steps: boolean): { line: string; area: string } {
  const [first] = points;
  const last = points.at(-1);
  if (!first || !last) return { line: '', area: '' };
  const at = (value: number) => Math.round(value * 10) / 10;
  let line = `M${at(x(first.x))} ${at(y(first.y))}`;
  for (const point of points.slice(1)) {
    line += steps ? `H${at(x(point.x))}V${at(y(point.y))}` : `L${at(x(point.x))} ${at(y(point.y))}`;
  }
  return { line, area: `${line}V${at(floor)}H${at(x(first.x))}Z` };
}
