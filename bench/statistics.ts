/** What was measured, with one value for each run. */
export interface Series {
  readonly name: string;
  readonly unit: 'ms' | 's' | 'KB' | 'MB' | 'count' | 'each';
  readonly values: readonly number[];
}

/** Prints the median and the range of each series. */
export function table(series: readonly Series[]): void {
  console.table(
    Object.fromEntries(
      series.map(({ name, unit, values }) => {
        const sorted = [...values].toSorted((a, b) => a - b);
        const digits = unit === 'count' || unit === 'ms' ? 0 : unit === 'each' ? 3 : 1;
        const text = (value: number | undefined): string => (value === undefined ? '-' : value.toFixed(digits));
        return [name, { unit, median: text(median(sorted)), least: text(sorted[0]), most: text(sorted.at(-1)), runs: values.length }];
      }),
    ),
  );
}

function median(sorted: readonly number[]): number | undefined {
  const middle = Math.floor(sorted.length / 2);
  const [below, above] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]];
  return below === undefined || above === undefined ? undefined : (below + above) / 2;
}

/** A span of time by the monotonic clock, milliseconds. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** How much of time the spans cover together, each moment counted once. */
export function covered(spans: readonly Span[]): number {
  let total = 0;
  let end = -Infinity;
  for (const { from, to } of [...spans].toSorted((a, b) => a.from - b.from)) {
    total += Math.max(0, to - Math.max(from, end));
    end = Math.max(end, to);
  }
  return total;
}
