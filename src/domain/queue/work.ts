import type { RuleName } from './policy.ts';
import type { PlannedAct } from './verdict.ts';

/** One act that is to be done. */
export interface WorkItem {
  readonly run: number;
  readonly attempt: number;
  readonly rule: RuleName;
  readonly does: PlannedAct['does'];
  /** The run that replaces it; `null` where none does. */
  readonly newer: number | null;
  /** Times that it was tried before. */
  readonly tries: number;
}

/** The same for thousands of runs in few bytes, since it is handed from one history to the next. */
export interface PackedWork {
  readonly rule: RuleName;
  readonly does: PlannedAct['does'];
  /** Run, attempt, tries, and the run that replaces it. */
  readonly items: readonly (readonly [run: number, attempt: number, tries: number, newer?: number])[];
}

/** In the order of the items as far as rule and kind of act stay the same. */
export function pack(items: readonly WorkItem[]): readonly PackedWork[] {
  const packed: { rule: RuleName; does: PlannedAct['does']; items: PackedWork['items'][number][] }[] = [];
  for (const { run, attempt, rule, does, newer, tries } of items) {
    const last = packed.at(-1);
    const item = newer === null ? ([run, attempt, tries] as const) : ([run, attempt, tries, newer] as const);
    if (last?.rule === rule && last.does === does) {
      last.items.push(item);
    } else {
      packed.push({ rule, does, items: [item] });
    }
  }
  return packed;
}

export function unpack(work: readonly PackedWork[]): readonly WorkItem[] {
  return work.flatMap(({ rule, does, items }) =>
    items.map(([run, attempt, tries, newer]) => ({ run, attempt, rule, does, newer: newer ?? null, tries })),
  );
}

export function workOf(acts: readonly PlannedAct[]): readonly WorkItem[] {
  return acts.map(({ run, attempt, rule, does, newer }) => ({ run, attempt, rule, does, newer, tries: 0 }));
}
