// What a make-believe GitHub was sent, and what of it counts.

import type { LoggedRequest } from '../src/sandbox/github/server.ts';
import type { Series } from './statistics.ts';

/** What counts against the hour's limit: an answer 304 does not, though it is one of the minute's points. */
export function ofTheHour(requests: readonly LoggedRequest[]): number {
  return requests.filter(({ status }) => status !== 304).length;
}

/** Both, told apart. */
export function sentAndCounted(name: string, requests: readonly LoggedRequest[]): readonly Series[] {
  return [
    { name: `${name}: requests sent`, unit: 'count', values: [requests.length] },
    { name: `${name}: requests of the hour`, unit: 'count', values: [ofTheHour(requests)] },
  ];
}
