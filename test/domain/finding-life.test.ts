import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { alertText, asSummary, type AlertState, type FindingPlace } from '../../src/domain/alert.ts';
import {
  acknowledge,
  delivered,
  dueAlert,
  dueNews,
  findingMarkdown,
  givenUp,
  isOver,
  loggedAs,
  miss,
  outcomeOf,
  readAcknowledgement,
  readMissed,
  readSeen,
  readSnooze,
  reportOf,
  routed,
  see,
  sendOff,
  snooze,
  untilNow,
  wake,
  type FindingLife,
} from '../../src/domain/finding-life.ts';
import type { Severity } from '../../src/domain/finding.ts';
import { aFinding } from '../kit/findings.ts';

const MINUTE = 60_000;
const OPENED = Date.parse('2026-11-24T12:00:00Z');
const COUNTING = { goodPasses: 3, readingsApartMs: 0 };
const PLACE: FindingPlace = { subject: 'acme/kernel/r1', scope: 'acme/kernel', runner: 'r1', host: 'mini' };

function opened(severity: Severity = 'critical'): FindingLife {
  return see(null, aFinding({ severity }), OPENED) as FindingLife;
}

/** Sends what is due, and has it delivered. */
function told(life: FindingLife, now = OPENED): FindingLife {
  const due = dueAlert(life);
  return due === null ? life : delivered(routed(sendOff(life, due, PLACE, now), ['webhook']), 'webhook');
}

function afterPasses(life: FindingLife, ...sights: readonly ('seen' | 'good')[]): FindingLife {
  return sights.reduce((now, sight) => {
    const at = now.heardAt + 5 * MINUTE;
    return sight === 'good' ? miss(now, at, COUNTING) : (see(now, aFinding(), at) as FindingLife);
  }, life);
}

describe('a finding', () => {
  test('opens on proof, and not without', () => {
    expect(see(null, aFinding({ isProven: false }), OPENED)).toBeNull();
    expect(opened()).toMatchObject({ phase: 'open', since: OPENED, sightings: 1 });
    expect(outcomeOf(opened())).toBe('open');
  });

  test('clears after three good passes in a row, and not while it flaps', () => {
    const flapping = afterPasses(opened(), 'good', 'good', 'seen', 'good', 'seen', 'good', 'good');
    expect(flapping).toMatchObject({ phase: 'open', since: OPENED, sightings: 3 });
    const cleared = afterPasses(flapping, 'good');
    expect(cleared).toMatchObject({ phase: 'cleared', clearedAt: OPENED + 40 * MINUTE });
    expect(outcomeOf(cleared)).toBe('cleared');
  });

  test('hears each pass once, and no older one', () => {
    const once = miss(opened(), OPENED + 1, COUNTING);
    expect(miss(once, OPENED + 1, COUNTING)).toBe(once);
    expect(see(once, aFinding(), OPENED)).toBe(once);
    expect(miss(once, OPENED - 1, COUNTING)).toBe(once);
  });

  test('counts good passes that are moments apart once', () => {
    const patient = { goodPasses: 3, readingsApartMs: 2 * MINUTE };
    const byHand = [1, 2, 3, 4].reduce((life, second) => miss(life, OPENED + second * 1_000, patient), opened());
    expect(byHand).toEqual(opened());
    const scheduled = [2, 4, 6].reduce((life, minutes) => miss(life, OPENED + minutes * MINUTE, patient), opened());
    expect(scheduled.phase).toBe('cleared');
  });

  test('that was heard while the clock was a year ahead clears, tells worse, and says no time that is yet to come', () => {
    const now = OPENED;
    const year = 365 * 24 * 60 * MINUTE;
    const ahead = sendOff(see(null, aFinding({ severity: 'warning' }), now + year)!, 'opened', PLACE, now + year);
    const hear = (life: FindingLife, minutes: number) => untilNow(life, now + minutes * MINUTE + 1);
    const cleared = [5, 10, 15].reduce((life, minutes) => miss(hear(life, minutes), now + minutes * MINUTE, COUNTING), ahead);
    expect(cleared).toMatchObject({ phase: 'cleared', clearedAt: now + 15 * MINUTE });
    const told1 = delivered(routed(hear(ahead, 5), ['webhook']), 'webhook');
    const worse = see(told1, aFinding({ severity: 'critical' }), now + 5 * MINUTE)!;
    expect(dueAlert(worse)).toBe('worse');
    const { since, seenAt, heardAt, pending } = hear(ahead, 5);
    expect(Math.max(since, seenAt, heardAt, pending!.begunAt)).toBeLessThanOrEqual(now + 5 * MINUTE + 1);
    expect(untilNow(worse, now + 6 * MINUTE)).toBe(worse);
  });

  test('keeps the words of the last proof while it is seen without', () => {
    const life = see(opened(), aFinding({ isProven: false, severity: 'info', summary: 'perhaps' }), OPENED + 1);
    expect(life).toMatchObject({ finding: { severity: 'critical', summary: aFinding().summary }, sightings: 2, goodPasses: 0 });
  });

  test('that is cleared opens anew on proof alone, and is not acknowledged any more', () => {
    const cleared = afterPasses(told(acknowledge(told(opened()), { by: 'anna', note: '' }, OPENED)), 'good', 'good', 'good');
    expect(see(cleared, aFinding({ isProven: false }), cleared.heardAt + 1)).toBe(cleared);
    expect(see(told(cleared), aFinding(), cleared.heardAt + 1)).toMatchObject({
      phase: 'open',
      acknowledged: null,
      since: cleared.heardAt + 1,
      clearedAt: null,
    });
  });
});

describe('people are told', () => {
  const cleared = (life: FindingLife): FindingLife => afterPasses(life, 'good', 'good', 'good');
  const worse = (life: FindingLife): FindingLife => see(life, aFinding({ severity: 'critical' }), life.heardAt + 1) as FindingLife;
  const quiet = (life: FindingLife): FindingLife => snooze(life, OPENED + MINUTE, OPENED);
  const known = (life: FindingLife): FindingLife => acknowledge(life, { by: 'anna', note: 'on it' }, OPENED);

  test.each<[string, FindingLife, AlertState | null]>([
    ['when it opens', opened(), 'opened'],
    ['once', told(opened()), null],
    ['nothing that needs nobody', opened('info'), null],
    ['when what needed nobody does', worse(opened('info')), 'opened'],
    ['when it gets worse', worse(told(opened('warning'))), 'worse'],
    ['not when it gets better', see(told(opened('critical')), aFinding({ severity: 'warning' }), OPENED + 1) as FindingLife, null],
    ['when it is over', cleared(told(opened())), 'cleared'],
    ['not that something is over of which they never heard', cleared(opened('info')), null],
    ['not while a message is on its way', sendOff(opened(), 'opened', PLACE, OPENED), null],
    ['of an acknowledged one not that it gets worse', worse(known(told(opened('warning')))), null],
    ['of an acknowledged one that it is over', cleared(known(told(opened()))), 'cleared'],
    ['nothing while it is snoozed', quiet(opened()), null],
    ['nothing of its end while it is snoozed', cleared(quiet(told(opened()))), null],
    ['what is still open once more when the snooze ends', wake(quiet(told(opened())), OPENED + MINUTE), 'opened'],
    ['not so before that', wake(quiet(told(opened())), OPENED + MINUTE - 1), null],
    ['not so where they know of it', wake(quiet(known(told(opened()))), OPENED + MINUTE), null],
    ['nothing new by the end of a snooze that is cut short', snooze(quiet(told(opened())), OPENED, OPENED), null],
    [
      'nothing where it comes back before they heard of its end',
      see(cleared(told(opened())), aFinding(), OPENED + 60 * MINUTE) as FindingLife,
      null,
    ],
    ['when it comes back after that', see(told(cleared(told(opened()))), aFinding(), OPENED + 60 * MINUTE) as FindingLife, 'opened'],
  ])('%s', (_, life, due) => {
    expect(dueAlert(life)).toBe(due);
  });

  test('in turns: opened, worse, cleared, whatever passes see', () => {
    const sight = fc.constantFrom<'good' | Severity>('good', 'info', 'warning', 'critical');
    fc.assert(
      fc.property(fc.array(sight, { maxLength: 80 }), (sights) => {
        let life = opened('info');
        const states: AlertState[] = [];
        for (const [index, severity] of sights.entries()) {
          const at = OPENED + index + 1;
          life = severity === 'good' ? miss(life, at, COUNTING) : (see(life, aFinding({ severity }), at) as FindingLife);
          const due = dueAlert(life);
          if (due !== null) {
            states.push(due);
            life = told(life);
          }
        }
        expect(states.join(' ')).toMatch(/^(opened (worse )?cleared ?)*(opened ?(worse ?)?)?$/);
      }),
    );
  });

  test('with what it takes to act, under an id of the message alone', () => {
    const first = sendOff(opened(), 'opened', PLACE, OPENED + 1_000);
    expect(first.pending?.message).toEqual({
      id: `acme/kernel/r1/vm-stopped/${OPENED}/1`,
      state: 'opened',
      text: 'acme/kernel/r1: its machine m1 is stopped, and a job waits (critical). Start it: multipass start m1',
      code: 'vm-stopped',
      severity: 'critical',
      summary: aFinding().summary,
      evidence: aFinding().evidence,
      advice: aFinding().advice,
      since: '2026-11-24T12:00:00.000Z',
      at: '2026-11-24T12:00:01.000Z',
      ...PLACE,
    });
    const second = sendOff(cleared(told(opened())), 'cleared', PLACE, OPENED + 60 * MINUTE);
    expect(second.pending?.message.id).toBe(`acme/kernel/r1/vm-stopped/${OPENED}/2`);
    expect(second.pending?.message.text).toMatch(
      /^acme\/kernel\/r1: over after 15 min: its machine m1 is stopped.*\. Nothing to do any more$/,
    );
  });

  test('through every channel, and what does not get through is remembered', () => {
    const life = routed(sendOff(opened(), 'opened', PLACE, OPENED), ['webhook', 'command']);
    const half = givenUp(life, 'webhook', 'it answered 410', OPENED + 1);
    expect(half.pending?.channels).toEqual(['command']);
    const whole = delivered(half, 'command');
    expect(whole).toMatchObject({ pending: null, undelivered: { state: 'opened', why: 'it answered 410', at: OPENED + 1 } });
    expect(dueAlert(whole)).toBeNull();
  });

  test('nobody, where there is no channel', () => {
    expect(routed(sendOff(opened(), 'opened', PLACE, OPENED), [])).toMatchObject({ pending: null, undelivered: null });
  });
});

test('a finding is over when it is cleared and its last message is out', () => {
  const cleared = afterPasses(told(opened()), 'good', 'good', 'good');
  expect(isOver(cleared)).toBe(false);
  expect(isOver(sendOff(cleared, 'cleared', PLACE, OPENED))).toBe(false);
  expect(isOver(told(cleared))).toBe(true);
  expect(reportOf(told(cleared), PLACE)).toMatchObject({
    outcome: 'cleared',
    since: '2026-11-24T12:00:00.000Z',
    clearedAt: '2026-11-24T12:15:00.000Z',
    messages: 2,
  });
});

test("Temporal's UI shows first what to do", () => {
  expect(findingMarkdown(opened(), PLACE)).toMatch(/^\*\*Start it: multipass start m1\*\*\n\nacme\/kernel\/r1: its machine m1 is stopped/);
  const busy = snooze(
    acknowledge(sendOff(opened(), 'opened', PLACE, OPENED), { by: 'anna', note: 'on it' }, OPENED),
    OPENED + MINUTE,
    OPENED,
  );
  expect(findingMarkdown(busy, PLACE)).toMatch(
    /Acknowledged by anna.*: on it\n\nNothing is told before 2026-11-24T12:01.*\n\nOn its way since/,
  );
  expect(findingMarkdown(afterPasses(opened(), 'good', 'good', 'good'), PLACE)).toMatch(/^\*\*Nothing to do any more\*\*/);
});

describe('a line', () => {
  test('is one, whatever the words', () => {
    const words = aFinding({ advice: 'Look\nat it.', summary: 'two\n\tlines.' });
    expect(alertText('worse', 'acme/kernel', words, 0)).toBe('acme/kernel: two lines (now critical). Look at it');
    expect(alertText('cleared', 'acme/kernel', words, 5 * 60 * MINUTE)).toContain('over after 5 h');
  });

  test('is cut where Temporal would refuse it', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 0x10ffff }), { maxLength: 4 }), (points) => {
        expect(Buffer.byteLength(JSON.stringify(asSummary(String.fromCodePoint(...points).repeat(300))))).toBeLessThanOrEqual(400);
      }),
      { examples: [[[0xd800]]] },
    );
    expect(asSummary('short')).toBe('short');
    expect(asSummary('half \ud800 of a sign')).toBe('half \ufffd of a sign');
  });
});

describe('what a signal says is understood or not', () => {
  test.each([
    ['acknowledge', readAcknowledgement, { by: ' anna ' }, { by: 'anna', note: '' }],
    ['acknowledge', readAcknowledgement, { by: 'anna', note: 'on it' }, { by: 'anna', note: 'on it' }],
    ['acknowledge', readAcknowledgement, 'anna', null],
    ['acknowledge', readAcknowledgement, { by: '' }, null],
    ['snooze', readSnooze, { until: '2026-11-24T12:00:00Z' }, OPENED],
    ['snooze', readSnooze, { until: '2026-11-24T14:00:00+02:00' }, OPENED],
    ['snooze', readSnooze, { until: '2026-11-24T12:00:00' }, null],
    ['snooze', readSnooze, { until: 'Tomorrow Z' }, null],
    ['snooze', readSnooze, undefined, null],
    ['good', readMissed, { at: 1 }, { at: 1 }],
    ['good', readMissed, {}, null],
    ['seen', readSeen, { finding: {}, at: 1 }, null],
    ['seen', readSeen, null, null],
  ])('%s', (_, read, given, expected) => {
    expect(read(given)).toEqual(expected);
  });
});

describe("Runward's log", () => {
  const logged = (life: FindingLife): FindingLife => {
    const news = dueNews(life);
    return news === null ? life : loggedAs(life, news);
  };
  const seen = (life: FindingLife, found: Parameters<typeof aFinding>[0], minutes: number): FindingLife =>
    see(life, aFinding(found), OPENED + minutes * MINUTE) as FindingLife;

  test('has a finding when it opens, gets worse and is over, each once', () => {
    expect(dueNews(opened('warning'))).toBe('opened');
    const known = logged(opened('warning'));
    expect(dueNews(known)).toBeNull();
    const worse = seen(known, { severity: 'critical' }, 5);
    expect(dueNews(worse)).toBe('worse');
    expect(dueNews(logged(worse))).toBeNull();
    const over = afterPasses(logged(worse), 'good', 'good', 'good');
    expect(dueNews(over)).toBe('cleared');
    expect(dueNews(logged(over))).toBeNull();
  });

  test('has none that is only told, and none that an operation is at work about', () => {
    expect(dueNews(opened('info'))).toBeNull();
    const cured = see(null, { ...aFinding({ severity: 'critical' }), isBeingCured: true }, OPENED) as FindingLife;
    expect(dueNews(cured)).toBeNull();
    // A reading that proves nothing says nothing about that.
    expect(dueNews(seen(cured, { severity: 'critical', isProven: false }, 5))).toBeNull();
    expect(dueNews(afterPasses(cured, 'good', 'good', 'good'))).toBeNull();
  });

  test('has one that no operation is at work about any more', () => {
    const cured = see(null, { ...aFinding({ severity: 'critical' }), isBeingCured: true }, OPENED) as FindingLife;
    expect(dueNews(seen(cured, { severity: 'critical' }, 5))).toBe('opened');
  });

  test('has what an older Runward knew of as if it had opened now', () => {
    const { logged: _logged, isBeingCured: _isBeingCured, ...older } = opened();
    expect(dueNews(older)).toBe('opened');
  });
});
