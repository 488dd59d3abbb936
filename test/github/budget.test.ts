import { describe, expect, test } from 'vitest';
import { createBudget, rateOf } from '../../src/github/budget.ts';

const NOW = Date.parse('2026-11-24T12:00:00Z');
const MINUTE = 60_000;

describe('a budget', () => {
  test.each([
    [1_001, false],
    [1_000, true],
    [0, true],
  ])('with %i of 5000 left keeps them for health checks: %s', (remaining, isKept) => {
    const budget = createBudget(() => NOW);
    const rate = { limit: 5_000, remaining, resetsAt: NOW + MINUTE };
    budget.note('a', rate);
    expect(budget.keptFor('a')).toEqual(isKept ? rate : null);
  });

  test('keeps nothing after the reset', () => {
    let clock = NOW;
    const budget = createBudget(() => clock);
    budget.note('a', { limit: 5_000, remaining: 3, resetsAt: NOW + MINUTE });
    clock += MINUTE;
    expect(budget.keptFor('a')).toBeNull();
  });

  test('keeps nothing of another credential, nor of one that GitHub told nothing of', () => {
    const budget = createBudget(() => NOW);
    budget.note('a', { limit: 5_000, remaining: 3, resetsAt: NOW + MINUTE });
    budget.note('b', null);
    expect([budget.keptFor('b'), budget.keptFor('c')]).toEqual([null, null]);
  });

  test('is as GitHub told it last; an answer that tells nothing changes nothing', () => {
    const budget = createBudget(() => NOW);
    budget.note('a', { limit: 5_000, remaining: 3, resetsAt: NOW + MINUTE });
    budget.note('a', null);
    expect(budget.keptFor('a')?.remaining).toBe(3);
    budget.note('a', { limit: 5_000, remaining: 5_000, resetsAt: NOW + 61 * MINUTE });
    expect(budget.keptFor('a')).toBeNull();
  });
});

describe("the rate of an answer's headers", () => {
  test('ends by the own clock', () => {
    expect(rateOf(told({ reset: 10 * MINUTE, date: 4 * MINUTE }), NOW)).toEqual({
      limit: 5_000,
      remaining: 12,
      resetsAt: NOW + 6 * MINUTE,
    });
  });

  test('ends by the reset itself where the Date is after it, or missing', () => {
    expect(rateOf(told({ reset: MINUTE, date: 120 * MINUTE }), NOW)?.resetsAt).toBe(NOW + MINUTE);
    expect(rateOf(told({ reset: MINUTE, date: null }), NOW)?.resetsAt).toBe(NOW + MINUTE);
  });

  test('ends no later than a limit can last', () => {
    expect(rateOf(told({ reset: MINUTE, date: -600 * MINUTE }), NOW)?.resetsAt).toBe(NOW + 65 * MINUTE);
  });

  test.each([
    ['no header', {}],
    ['one header', { 'x-ratelimit-remaining': '3' }],
    ['another resource', { ...told({ reset: MINUTE, date: 0 }), 'x-ratelimit-resource': 'actions_runner_registration' }],
    ['no numbers', { ...told({ reset: MINUTE, date: 0 }), 'x-ratelimit-limit': 'many' }],
  ])('is none with %s', (_, headers) => {
    expect(rateOf(headers, NOW)).toBeNull();
  });
});

/** Times after NOW, milliseconds. */
function told({ reset, date }: { readonly reset: number; readonly date: number | null }): Record<string, string> {
  return {
    'x-ratelimit-limit': '5000',
    'x-ratelimit-remaining': '12',
    'x-ratelimit-reset': String((NOW + reset) / 1_000),
    'x-ratelimit-resource': 'core',
    ...(date === null ? {} : { date: new Date(NOW + date).toUTCString() }),
  };
}
