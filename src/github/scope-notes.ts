// What looks at a scope have read, so that the next ones need not ask again, whichever process of this data folder looks.

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const jobsSeen = z.object({
  /** Queued jobs by their labels; `oldestAt`: when the oldest began to wait, by GitHub's clock. */
  queued: z.array(z.object({ labels: z.array(z.string()), count: z.int(), oldestAt: z.number() })),
  running: z.array(
    z.object({ runner: z.string(), name: z.string(), run: z.int(), startedAt: z.number().nullable(), url: z.string().nullable() }),
  ),
});

const runNote = z.object({
  run: z.int(),
  isQueued: z.boolean(),
  attempt: z.int(),
  /** By GitHub's clock, as is `startedAt`, which is the attempt's. */
  createdAt: z.number(),
  startedAt: z.number().nullable(),
  updatedAt: z.number(),
  /** When a list last had it so. */
  listedAt: z.number(),
  /** When its jobs were read. */
  readAt: z.number(),
  /** Whether it had rested then: GitHub tells when a run changed by the second, and a second change within it would not show. */
  hadRested: z.boolean(),
  jobs: jobsSeen,
});

const notes = z.object({
  runs: z.array(runNote),
  versions: z
    .object({
      at: z.number(),
      asked: z.array(z.string()),
      latest: z.string().nullable(),
      retirements: z.array(z.object({ version: z.string(), runsUntil: z.number().nullable(), registersUntil: z.number().nullable() })),
    })
    .nullable(),
  /** Runs whose jobs were read for people of late. */
  readForPeople: z.object({ since: z.number(), runs: z.int() }),
});

/** Jobs of a run, as far as they wait or run. */
export type JobsSeen = z.infer<typeof jobsSeen>;
/** A run's entry in a list, and its jobs. Times are epoch milliseconds by the own clock, if nothing else is said. */
export type RunNote = z.infer<typeof runNote>;
/** Of one scope; whoever looks changes them, and saves them then. */
export type ScopeNotes = Omit<z.infer<typeof notes>, 'runs'> & { readonly runs: Map<number, RunNote> };

/** `account` names the API and whose answers they are: another token may see less. */
export interface NotesShelf {
  open(account: string, scope: string): ScopeNotes;
  save(account: string, scope: string, notes: ScopeNotes): void;
}

/** What no list had for so long is forgotten. */
const FORGOTTEN_AFTER_MS = 60 * 60_000;
/** A file that nobody has written for so long is of a token or a scope that is out of use. */
const ABANDONED_AFTER_MS = 24 * 60 * 60_000;
/** GitHub lists 1,000 runs of a status. */
const MOST_RUNS = 2_000;
/** Jobs of a larger run are read each time. */
const MOST_GROUPS = 50;
const MOST_BYTES = 8_000_000;
/** A clock may be set back by so much. */
const CLOCK_TOLERANCE_MS = 60_000;

const PREFIX = 'github-look-';

/** @param folder that has one file of mode 0600 for each account and scope; `null`, or a folder that can't be written, keeps them in memory alone */
export function createNotesShelf(folder: string | null, now: () => number = Date.now): NotesShelf {
  const unsaved = new Map<string, string>();
  return {
    open(account, scope) {
      const name = fileName(account, scope);
      const text = unsaved.get(name) ?? (folder === null ? null : readText(join(folder, name)));
      return parse(text, now());
    },
    save(account, scope, kept) {
      const name = fileName(account, scope);
      const text = JSON.stringify({ ...kept, runs: worthKeeping(kept.runs, now()) });
      if (folder !== null && text === readText(join(folder, name))) return;
      unsaved.set(name, text);
      if (folder === null) return;
      try {
        const draft = join(folder, `${name}.${process.pid}`);
        writeFileSync(draft, text, { mode: 0o600 });
        renameSync(draft, join(folder, name));
        unsaved.delete(name);
        removeAbandoned(folder, now());
      } catch {
        // They only spare requests.
      }
    },
  };
}

/** Whether something that happened then is younger than this; what a clock that was set back calls future is not. */
export function isWithin(at: number, ms: number, now: number): boolean {
  return now - at < ms && at - now < CLOCK_TOLERANCE_MS;
}

function worthKeeping(runs: ReadonlyMap<number, RunNote>, now: number): readonly RunNote[] {
  return [...runs.values()]
    .filter(({ listedAt, jobs }) => isWithin(listedAt, FORGOTTEN_AFTER_MS, now) && jobs.queued.length + jobs.running.length <= MOST_GROUPS)
    .toSorted((one, other) => other.listedAt - one.listedAt)
    .slice(0, MOST_RUNS);
}

function parse(text: string | null, now: number): ScopeNotes {
  try {
    const { runs, ...rest } = notes.parse(JSON.parse(text ?? ''));
    return {
      ...rest,
      runs: new Map(runs.filter(({ listedAt }) => isWithin(listedAt, FORGOTTEN_AFTER_MS, now)).map((note) => [note.run, note])),
    };
  } catch {
    return { runs: new Map(), versions: null, readForPeople: { since: 0, runs: 0 } };
  }
}

function readText(file: string): string | null {
  try {
    return statSync(file).size > MOST_BYTES ? null : readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

function removeAbandoned(folder: string, now: number): void {
  for (const name of readdirSync(folder)) {
    const file = join(folder, name);
    if (name.startsWith(PREFIX) && now - statSync(file).mtimeMs > ABANDONED_AFTER_MS) rmSync(file, { force: true });
  }
}

/** Neither can be read from it. */
function fileName(account: string, scope: string): string {
  return `${PREFIX}${createHash('sha256').update(`${account} ${scope}`).digest('hex').slice(0, 16)}.json`;
}
