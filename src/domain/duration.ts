/** `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`, `5 d 3 h`. */
export function formatDuration(ms: number): string {
  if (ms < 9_950) {
    return `${(ms / 1_000).toFixed(1)} s`;
  }
  const seconds = Math.round(ms / 1_000);
  if (seconds < 120) {
    return `${seconds} s`;
  }
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) {
    return withRest(minutes, 'min', seconds % 60, 's');
  }
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? withRest(hours, 'h', minutes % 60, 'min') : withRest(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

function withRest(whole: number, unit: string, rest: number, smallerUnit: string): string {
  return rest === 0 ? `${whole} ${unit}` : `${whole} ${unit} ${rest} ${smallerUnit}`;
}

/**
 * From the begin of an operation to its end, the time between its steps included; `null` while it works. Of a long one the last run is
 * described, and its steps may have begun before that.
 */
export function wholeDurationMs(
  { startTime, closeTime }: { readonly startTime: Date; readonly closeTime?: Date | undefined },
  steps: readonly { readonly startedAt: string | null }[] = [],
): number | null {
  const begins = steps.flatMap(({ startedAt }) => (startedAt === null ? [] : [Date.parse(startedAt)]));
  return closeTime === undefined ? null : closeTime.getTime() - Math.min(startTime.getTime(), ...begins);
}

const DAY_MS = 24 * 3_600_000;

/** `08:12 UTC`; with its date if it is a day or more from `now`. Both are epoch milliseconds. */
export function clockText(at: number, now: number): string {
  const text = new Date(at).toISOString();
  const clock = `${text.slice(11, 16)} UTC`;
  return Math.abs(at - now) < DAY_MS ? clock : `${text.slice(0, 10)} ${clock}`;
}
