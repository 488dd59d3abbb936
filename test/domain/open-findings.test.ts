import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { miss, see, type FindingLife } from '../../src/domain/finding-life.ts';
import { advance, recall } from '../../src/domain/open-findings.ts';
import type { FindingKey } from '../../src/domain/rules/rule.ts';
import type { OpenFinding } from '../../src/domain/pass.ts';
import { aFinding } from '../kit/findings.ts';

const finding = aFinding();
const { subject, code } = finding;
const unproven = aFinding({ isProven: false });
const open: OpenFinding = { subject, code, since: 1_000, goodPasses: 0 };
const AT = 9_000;
const OVER = { seen: [], good: [{ subject, code }], open: [] };

function pass(findings: readonly (typeof finding)[], unreadable: readonly string[] = [], unread: readonly FindingKey[] = []) {
  return { at: AT, findings, unreadable, unread };
}

describe('a finding is', () => {
  test.each([
    ['opened on proof', [], pass([finding]), { seen: [finding], good: [], open: [{ ...open, since: AT }] }],
    ['left alone without', [], pass([unproven]), { seen: [], good: [], open: [] }],
    ['seen again', [open], pass([finding]), { seen: [finding], good: [], open: [open] }],
    ['not over while it is seen without proof', [open], pass([unproven]), { seen: [unproven], good: [], open: [open] }],
    ['good once', [open], pass([]), { seen: [], good: [{ subject, code }], open: [{ ...open, goodPasses: 1 }] }],
    ['forgotten after the third time', [{ ...open, goodPasses: 2 }], pass([]), OVER],
    ['counted anew when it comes back', [{ ...open, goodPasses: 2 }], pass([finding]), { seen: [finding], good: [], open: [open] }],
    [
      'as it was where nothing could be read',
      [{ ...open, goodPasses: 2 }],
      pass([], [subject]),
      { seen: [], good: [], open: [{ ...open, goodPasses: 2 }] },
    ],
    [
      'as it was where the part that it needs could not be read',
      [{ ...open, goodPasses: 2 }],
      pass([], [], [{ subject, code }]),
      { seen: [], good: [], open: [{ ...open, goodPasses: 2 }] },
    ],
    ['good where another part could not be read', [{ ...open, goodPasses: 2 }], pass([], [], [{ subject, code: 'clock-drift' }]), OVER],
    ['seen where something else could not be read', [open], pass([finding], [subject]), { seen: [finding], good: [], open: [open] }],
    [
      'told once, with proof, where two looks found it',
      [],
      pass([unproven, finding, unproven]),
      { seen: [finding], good: [], open: [{ ...open, since: AT }] },
    ],
  ])('%s', (_, before, seen, expected) => {
    expect(advance(before, seen, 3)).toEqual(expected);
  });

  test('its own, by subject and by code', () => {
    const others = [aFinding({ code: 'clock-drift' }), aFinding({ subject: 'acme/kernel/r2' })];
    const { seen, good, open: next } = advance([open], pass(others), 3);
    expect(seen).toEqual(others);
    expect(good).toEqual([{ subject, code }]);
    expect(next).toHaveLength(3);
  });
});

test('a pass begins with what is remembered, and with what else is open', () => {
  const byHand: OpenFinding = { subject, code: 'clock-drift', since: 2_000, goodPasses: 0 };
  const remembered: OpenFinding = { ...open, goodPasses: 2 };
  expect(recall([remembered], [open, byHand])).toEqual([remembered, byHand]);
  expect(recall([], [])).toEqual([]);
});

test('passes and the workflow that they signal agree on what is open', () => {
  const sight = fc.constantFrom('proven', 'unproven', 'missed', 'unreadable', 'unread');
  fc.assert(
    fc.property(fc.array(sight, { maxLength: 60 }), fc.integer({ min: 1, max: 4 }), (sights, goodPasses) => {
      let remembered: readonly OpenFinding[] = [];
      let life: FindingLife | null = null;
      for (const [index, what] of sights.entries()) {
        const at = index + 1;
        const findings = what === 'proven' ? [finding] : what === 'unproven' ? [unproven] : [];
        const unreadable = what === 'unreadable' ? [subject] : [];
        const unread = what === 'unread' ? [{ subject, code }] : [];
        const { seen, good, open: next } = advance(remembered, { at, findings, unreadable, unread }, goodPasses);
        remembered = next;
        for (const found of seen) {
          life = see(life, found, at);
        }
        if (good.length > 0 && life !== null) {
          life = miss(life, at, { goodPasses, readingsApartMs: 1 });
        }
        const isOpen: boolean = life?.phase === 'open';
        expect(remembered.length === 1).toBe(isOpen);
        expect(isOpen ? remembered[0] : null).toEqual(isOpen ? { subject, code, since: life?.since, goodPasses: life?.goodPasses } : null);
        expect(what.startsWith('unread') && seen.length + good.length > 0).toBe(false);
      }
    }),
  );
});
