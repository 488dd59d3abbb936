// What is true of several machines at once is first a fault of GitHub or a host: one is treated, and only when it is well the next.

import { fewOf } from './few-of.ts';
import type { Diagnosed } from './finding.ts';
import type { Turn } from './pass.ts';
import { isDrained, type Situation } from './situation.ts';

/** By the code of the finding. */
export type Turns = Readonly<Record<string, Turn>>;

/** By the code as well: runners (`scope/name`) whose turn has ended by time, so that they come last; whose ended first is first. */
export type Missed = Readonly<Record<string, readonly string[]>>;

/** Why it is another runner's turn. */
export interface OthersTurn {
  readonly why: string;
  /** When that turn ends by time, epoch milliseconds; `null` while checks may still recover the other one. */
  readonly until: number | null;
}

/** Measured in the machine itself, and mended without a runner being stopped: a host that booted or slept leaves all its machines so. */
const AT_ONCE: ReadonlySet<string> = new Set(['machine-stopped', 'machine-suspended', 'clock-drift']);
/** Whoever goes first has so long to become well. Where few show the same, they may as well have broken one by one, and the next one's turn comes. */
const TURN_MS = 30 * 60_000;
/** Where many do, the next one is tried only after a time in which somebody may have looked. */
const TURN_OF_MANY_MS = 6 * 60 * 60_000;
/** Of the scope's machines. */
const MANY = 1 / 3;

export const MANY_AT_ONCE = 'many-at-once';

/** Whether cures for this are for one machine at a time. */
function isByTurns({ code, cure }: Pick<Diagnosed, 'code' | 'cure'>): boolean {
  return cure === 'recover' && !AT_ONCE.has(code);
}

interface Shown {
  readonly situation: Situation;
  readonly isProven: boolean;
}

export class TurnTaking {
  readonly #at: number;
  readonly #situations: ReadonlyMap<string, Situation>;
  readonly #findings: ReadonlyMap<string, readonly Diagnosed[]>;
  readonly #machines: number;
  readonly #turns: Map<string, Turn>;
  readonly #missed: Map<string, readonly string[]>;
  /** One runner of each machine that shows it, by code. */
  readonly #shown = new Map<string, readonly Shown[]>();

  /** @param previous whose turn it was at the last pass, and who has missed one */
  constructor(
    situations: readonly Situation[],
    findings: ReadonlyMap<string, readonly Diagnosed[]>,
    previous: { readonly turns?: Turns; readonly missed?: Missed },
  ) {
    this.#at = situations[0]?.at ?? 0;
    this.#situations = new Map(situations.map((situation) => [situation.name, situation]));
    this.#findings = findings;
    this.#machines = new Set(situations.map(machineOf)).size;
    this.#missed = new Map(
      Object.entries(previous.missed ?? {}).map(([code, runners]) => [code, runners.filter((runner) => this.#isIll(runner))]),
    );
    this.#turns = new Map();
    for (const [code, { runner, since }] of Object.entries(previous.turns ?? {})) {
      const turn = { runner, since: Math.min(since, this.#at) };
      if (!this.#isIll(runner)) {
        continue;
      }
      if (this.#at < this.#endOf(code, turn)) {
        this.#turns.set(code, turn);
      } else {
        this.#missed.set(code, [...this.#missedOf(code).filter((other) => other !== runner), runner]);
      }
    }
  }

  /** For the next pass. */
  get turns(): Turns {
    return Object.fromEntries(this.#turns);
  }

  get missed(): Missed {
    return Object.fromEntries([...this.#missed].filter(([, runners]) => runners.length > 0));
  }

  /** How late a runner comes among those that show the same; 0 for one that has missed no turn. */
  place(runner: string): number {
    return Math.max(0, ...[...this.#missed.values()].map((runners) => runners.indexOf(runner) + 1));
  }

  /** Why it is not this runner's turn for what is to be done about these, or `null`. @param isGivenUp whether checks have done for a runner what they may */
  against(findings: readonly Diagnosed[], runner: string, isGivenUp: (runner: string) => boolean): OthersTurn | null {
    const whys = findings.map((finding) => this.#againstOne(finding, runner, isGivenUp));
    return whys.find((why) => why !== null) ?? null;
  }

  #againstOne(finding: Diagnosed, runner: string, isGivenUp: (runner: string) => boolean): OthersTurn | null {
    const turn = isByTurns(finding) ? this.#turns.get(finding.code) : undefined;
    if (turn === undefined || this.#isSameMachine(turn.runner, runner)) {
      return null;
    }
    const shown = this.#shownBy(finding.code).length;
    if (this.#isMany(finding.code)) {
      const until = isGivenUp(turn.runner) ? this.#endOf(finding.code, turn) : null;
      return { until, why: `${shown} of ${this.#machines} machines show the same: ${turn.runner} goes first, and is not well yet` };
    }
    return isGivenUp(turn.runner) ? null : { until: null, why: `one at a time: ${turn.runner} shows the same and goes first` };
  }

  take(findings: readonly Diagnosed[], runner: string): void {
    for (const finding of findings.filter(isByTurns)) {
      const turn = this.#turns.get(finding.code);
      if (turn === undefined || !this.#isSameMachine(turn.runner, runner)) {
        this.#turns.set(finding.code, { runner, since: this.#at });
        this.#missed.set(
          finding.code,
          this.#missedOf(finding.code).filter((other) => other !== runner),
        );
      }
    }
  }

  /** What many machines of the scope show at once; `null` where it is not so. */
  find(scope: string): Diagnosed | null {
    const codes = [
      ...new Set(
        [...this.#findings.values()]
          .flat()
          .filter(isByTurns)
          .map(({ code }) => code),
      ),
    ];
    const many = codes.filter((code) => this.#isMany(code));
    const [code] = many.toSorted((one, other) => this.#shownBy(other).length - this.#shownBy(one).length);
    if (code === undefined) {
      return null;
    }
    const first = this.#turns.get(code)?.runner;
    return {
      code: MANY_AT_ONCE,
      severity: 'critical',
      summary: `${this.#shownBy(code).length} of ${this.#machines} machines of ${scope} show the same at once (${code}): a fault of GitHub or a host is likely`,
      evidence: many.map((each) => `${each}: ${fewOf(this.#shownBy(each).map(({ situation }) => situation.name))}`).join('. '),
      advice: `look at githubstatus.com and at what their hosts share; ${
        first === undefined ? 'checks recover one of them first' : `checks recover ${first} first`
      }, and the others once it is well; by hand: \`runward recover --runner NAME\``,
      subject: scope,
      isProven: true,
      cure: null,
    };
  }

  /** Those on which a person's or Runward's word to take no jobs holds are not broken. */
  #shownBy(code: string): readonly Shown[] {
    let shown = this.#shown.get(code);
    if (shown === undefined) {
      const all = [...this.#situations.values()].flatMap((situation) => {
        const own = (this.#findings.get(situation.name) ?? []).find((finding) => finding.code === code && isByTurns(finding));
        return own === undefined || isDrained(situation) ? [] : [{ situation, isProven: own.isProven }];
      });
      shown = [...new Map(all.map((each) => [machineOf(each.situation), each])).values()];
      this.#shown.set(code, shown);
    }
    return shown;
  }

  #isMany(code: string): boolean {
    const proven = this.#shownBy(code).filter(({ isProven }) => isProven).length;
    return areMany(proven, this.#machines);
  }

  #missedOf(code: string): readonly string[] {
    return this.#missed.get(code) ?? [];
  }

  #isIll(runner: string): boolean {
    const situation = this.#situations.get(runner);
    if (situation === undefined || isDrained(situation)) {
      return false;
    }
    return situation.standing !== 'online' || (this.#findings.get(runner) ?? []).some(({ cure }) => cure === 'recover');
  }

  #endOf(code: string, { since }: Turn): number {
    return since + (this.#isMany(code) ? TURN_OF_MANY_MS : TURN_MS);
  }

  #isSameMachine(one: string, other: string): boolean {
    const [mine, others] = [this.#situations.get(one), this.#situations.get(other)];
    return mine !== undefined && others !== undefined && machineOf(mine) === machineOf(others);
  }
}

function areMany(some: number, all: number): boolean {
  return some > 1 && some > MANY * all;
}

/** Whether many may show the same although that is not seen, since some could not be read. @param unreadable by `scope/name` */
export function mayHideMany(situations: readonly Situation[], findings: readonly Diagnosed[], unreadable: readonly string[]): boolean {
  const ill = findings.filter(isByTurns).map(({ subject }) => subject);
  const machinesOf = (names: readonly string[]): ReadonlySet<string> =>
    new Set(situations.filter(({ name }) => names.includes(name)).map(machineOf));
  return unreadable.length > 0 && areMany(machinesOf([...ill, ...unreadable]).size, new Set(situations.map(machineOf)).size);
}

function machineOf({ target }: Situation): string {
  return `${target.host}/${target.machine}`;
}
