import { describe, expect, test } from 'vitest';
import { diagnose } from '../../src/domain/diagnose.ts';
import type { LedgerEntry } from '../../src/domain/ledger.ts';
import { nextStep, type NextStep } from '../../src/domain/next-step.ts';
import { advance } from '../../src/domain/open-findings.ts';
import type { OpenFinding, PassObservation, RunnersMemory } from '../../src/domain/pass.ts';
import { DEFAULT_HEALTH_POLICY as policy } from '../../src/domain/policy.ts';
import { prescribe, type Prescribed } from '../../src/domain/prescribe.ts';
import { known, unknown } from '../../src/domain/reading.ts';
import { guest, host, machine, memory, NOW, pass, registered, scope, target } from '../kit/observations.ts';

const MINUTE = 60_000;
const EVERY = 5 * MINUTE;
const HOUR = 60 * MINUTE;

interface Passed extends Prescribed {
  readonly cured: readonly string[];
  readonly told: readonly string[];
  /** Codes of findings that are open after it. */
  readonly open: readonly string[];
  /** What a person reads of what is withheld for this runner. */
  readonly stepOf: (runner: string) => NextStep;
}

type How = 'well' | 'offline' | 'dead' | 'gone' | 'unread';

/** Passes every five minutes, unless it is said otherwise, over runners, each on a machine of its own by default. */
class Scope {
  readonly #machineOf: (index: number) => string;
  readonly #every: number;
  #open: readonly OpenFinding[] = [];
  #memory: RunnersMemory = memory(NOW - EVERY);
  #at = NOW;
  ledgers: Record<string, readonly LedgerEntry[]> = {};

  constructor(machineOf: (index: number) => string = (index) => `m${index + 1}`, every = EVERY) {
    this.#machineOf = machineOf;
    this.#every = every;
  }

  pass(...hows: readonly How[]): Passed {
    const seen = this.#see(hows);
    const diagnosis = diagnose(seen, this.#memory, policy);
    const prescribed = prescribe(diagnosis, seen, { ledgers: this.ledgers, policy });
    this.#memory = { ...diagnosis.memory, turns: prescribed.turns, missed: prescribed.missed };
    const now = this.#at;
    const findings = [...diagnosis.findings, ...prescribed.findings];
    this.#open = advance(this.#open, { ...diagnosis, at: now, findings }, policy.goodPasses).open;
    this.#at += this.#every;
    return {
      ...prescribed,
      open: this.#open.map(({ code }) => code),
      stepOf: (runner) => {
        const withheld = prescribed.withheld.find((each) => each.runner === `acme/kernel/${runner}`) ?? null;
        const finding = diagnosis.findings.find(({ code, subject }) => code === withheld?.because && subject === withheld.runner);
        return nextStep({ ...finding!, runner }, { now, mode: 'act', checks: { kind: 'some-time' }, atWork: null, job: null, withheld });
      },
      cured: prescribed.prescriptions.map(({ runner }) => runner.replace('acme/kernel/', '')),
      told: prescribed.findings.map(({ code }) => code),
    };
  }

  /** So many recoveries of it have failed. */
  fail(runner: string, times: number): void {
    const entry = { type: 'recoverRunner', scope: 'acme/kernel', runner, trigger: 'check', workflowId: 'w', outcome: 'failed' } as const;
    this.ledgers = {
      ...this.ledgers,
      [`acme/kernel/${runner}`]: Array.from({ length: times }, (_, index) => ({ ...entry, at: this.#at, runId: `${index}` })),
    };
  }

  /** The recoveries that this pass has begun have failed. */
  failAll(cured: readonly string[]): void {
    for (const runner of cured) {
      const name = `acme/kernel/${runner}`;
      const at = this.#at - this.#every + MINUTE / 6;
      const entry = { type: 'recoverRunner', scope: 'acme/kernel', runner, trigger: 'check', workflowId: 'w', outcome: 'failed' } as const;
      this.ledgers = { ...this.ledgers, [name]: [...(this.ledgers[name] ?? []), { ...entry, at, runId: `${at}` }] };
    }
  }

  #see(hows: readonly How[]): PassObservation {
    const nameOf = (index: number): string => `r${index + 1}`;
    return pass({
      at: this.#at,
      hosts: { local: known(host({ observedAt: this.#at })) },
      github: known(
        scope({
          observedAt: this.#at,
          runners: hows.flatMap((how, index) =>
            how === 'gone' ? [] : [registered({ name: nameOf(index), status: how === 'well' ? 'online' : 'offline' })],
          ),
          absent: Object.fromEntries(
            hows.flatMap((how, index) => (how === 'gone' ? [[nameOf(index), { kind: 'gone', id: 7 } as const]] : [])),
          ),
        }),
      ),
      runners: hows.map((how, index) => ({
        target: target({ runner: nameOf(index), machine: this.#machineOf(index) }),
        machine:
          how === 'unread'
            ? unknown('no answer')
            : known(
                machine({
                  guest: known(
                    guest({
                      registration: { agentId: 7, agentName: nameOf(index), url: 'https://github.com/acme/kernel' },
                      ...(how === 'dead' ? { service: { unit: 'u', state: 'inactive' }, listeners: 0 } : {}),
                    }),
                  ),
                }),
              ),
      })),
    });
  }
}

describe('several that show the same', () => {
  test.each(['offline', 'gone'] as const)('are recovered one after the other, each once the one before is well (%s)', (how) => {
    const many = new Scope();
    expect(many.pass(how, how, how).cured).toEqual([]);
    expect(many.pass(how, how, how).cured).toEqual(['r1']);
    expect(many.pass(how, how, how).cured).toEqual(['r1']);
    expect(many.pass('well', how, how).cured).toEqual(['r2']);
    expect(many.pass('well', how, how).cured).toEqual(['r2']);
    expect(many.pass('well', 'well', how).cured).toEqual(['r3']);
    expect(many.pass('well', 'well', 'well')).toMatchObject({ cured: [], told: [], turns: {} });
  });

  test('wait for the first one also while it shows something else, as in the middle of its recovery', () => {
    const many = new Scope();
    many.pass('offline', 'offline', 'well', 'well', 'well', 'well', 'well');
    expect(many.pass('offline', 'offline', 'well', 'well', 'well', 'well', 'well').cured).toEqual(['r1']);
    expect(many.pass('dead', 'offline', 'well', 'well', 'well', 'well', 'well')).toMatchObject({
      cured: ['r1'],
      withheld: [{ runner: 'acme/kernel/r2', reason: 'one-at-a-time', why: 'one at a time: acme/kernel/r1 shows the same and goes first' }],
    });
  });

  test('and that break one after the other wait as well', () => {
    const many = new Scope();
    expect(many.pass('dead', 'well', 'well', 'well', 'well', 'well', 'well').cured).toEqual(['r1']);
    expect(many.pass('dead', 'dead', 'well', 'well', 'well', 'well', 'well').cured).toEqual(['r1']);
  });

  test('and different things are recovered at the same time', () => {
    const many = new Scope();
    many.pass('dead', 'offline', 'well', 'well', 'well', 'well', 'well');
    expect(many.pass('dead', 'offline', 'well', 'well', 'well', 'well', 'well').cured).toEqual(['r1', 'r2']);
  });

  test('on one machine are one cause', () => {
    const shared = new Scope((index) => (index < 2 ? 'shared' : `m${index}`));
    expect(shared.pass('dead', 'dead', 'well')).toMatchObject({ cured: ['r1', 'r2'], told: [] });
  });
});

describe('more than a third of the machines', () => {
  test('are a finding of their scope, which names whom the others wait for', () => {
    const many = new Scope();
    const [found] = many.pass('dead', 'dead', 'well', 'well', 'well').findings;
    expect(found).toMatchObject({
      code: 'many-at-once',
      subject: 'acme/kernel',
      severity: 'critical',
      isProven: true,
      summary: '2 of 5 machines of acme/kernel show the same at once (service-inactive): a fault of GitHub or a host is likely',
      evidence: 'service-inactive: acme/kernel/r1; acme/kernel/r2',
      advice: expect.stringContaining('checks recover acme/kernel/r1 first, and the others once it is well'),
    });
    expect(new Scope().pass('dead', 'dead', 'well', 'well', 'well', 'well').told).toEqual([]);
    expect(new Scope().pass('dead').told).toEqual([]);
    expect(new Scope().pass('offline', 'offline').told).toEqual([]);
  });

  test('wait for one that is not cured, and fewer do not', () => {
    const few = ['dead', 'dead', 'well', 'well', 'well', 'well'] as const;
    const [waiting, going] = [new Scope(), new Scope()];
    waiting.pass('dead', 'dead', 'well');
    going.pass(...few);
    for (const each of [waiting, going]) {
      each.fail('r1', 2);
    }
    expect(waiting.pass('dead', 'dead', 'well')).toMatchObject({ cured: [], told: ['budget-used-up', 'many-at-once'] });
    expect(going.pass(...few)).toMatchObject({ cured: ['r2'], told: ['budget-used-up'] });
  });

  test('do not wait for ever: whoever was not cured in its turn comes last', () => {
    const every = 7 * MINUTE;
    const many = new Scope(undefined, every);
    const cured = Array.from({ length: (72 * HOUR) / every }, () => {
      const passed = many.pass('dead', 'dead', 'well').cured;
      many.failAll(passed);
      return passed;
    }).flat();
    const tries = (runner: string): number => cured.filter((each) => each === runner).length;
    expect(tries('r2')).toBeGreaterThanOrEqual(tries('r1') - 2);
    expect(cured.indexOf('r2')).toBeLessThanOrEqual(3);
  });

  test('are not over while they can not be read', () => {
    const many = new Scope();
    many.pass('dead', 'dead', 'well', 'well', 'well');
    for (let pass = 0; pass < 5; pass += 1) {
      expect(many.pass('unread', 'unread', 'well', 'well', 'well').open).toContain('many-at-once');
    }
    const cleared = Array.from({ length: 3 }, () => many.pass('unread', 'well', 'well', 'well', 'well'));
    expect(cleared.at(-1)?.open).not.toContain('many-at-once');
  });

  test('come in the order in which they have waited', () => {
    const many = new Scope();
    const begun: string[] = [];
    for (let pass = 0; pass < (26 * HOUR) / EVERY; pass += 1) {
      const { cured } = many.pass('dead', 'dead', 'dead', 'well');
      many.failAll(cured);
      begun.push(...cured.filter((runner) => runner !== begun.at(-1)));
    }
    expect(begun.slice(0, 4)).toEqual(['r1', 'r2', 'r3', 'r1']);
  });

  test('are told when their turn comes, if checks can do no more for the first one', () => {
    const many = new Scope();
    many.failAll(many.pass('dead', 'dead', 'well').cured);
    expect(many.pass('dead', 'dead', 'well').withheld).toMatchObject([{ runner: 'acme/kernel/r2', reason: 'one-at-a-time' }]);
    many.fail('r1', 2);
    const { withheld, stepOf } = many.pass('dead', 'dead', 'well');
    expect(withheld.find(({ runner }) => runner === 'acme/kernel/r2')).toMatchObject({ until: new Date(NOW + 6 * HOUR).toISOString() });
    expect(stepOf('r2')).toEqual({
      handledBy: null,
      advice:
        'checks recover it from 18:00 UTC on (2 of 3 machines show the same: acme/kernel/r1 goes first, and is not well yet); now: `runward recover --runner r2`',
    });
  });
});
