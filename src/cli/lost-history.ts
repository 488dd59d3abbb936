import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** Temporal's database was of no use at a start; what Runward knew of its own acts is gone with it. */
const lossSchema = z.object({
  /** ISO 8601. */
  since: z.string(),
  /** What was wrong with the database. */
  why: z.string(),
  /** Where it lies now; `null` where there was no file. */
  aside: z.string().nullable(),
});
export type Loss = z.output<typeof lossSchema>;

/** The loss that no person has confirmed yet. */
export function readLoss(folder: string): Loss | null {
  const file = lossFile(folder);
  if (!existsSync(file)) {
    return null;
  }
  try {
    return lossSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    // That it is there counts, whatever it says.
    return { since: 'an unknown time', why: `${file} can't be read`, aside: null };
  }
}

export function writeLoss(folder: string, loss: Loss): void {
  const partial = `${lossFile(folder)}.partial`;
  writeFileSync(partial, `${JSON.stringify(loss)}\n`, { mode: 0o600 });
  renameSync(partial, lossFile(folder));
}

/** A person knows of the loss: Runward may act again. */
export function confirmLoss(folder: string): void {
  rmSync(lossFile(folder), { force: true });
}

/** Why Runward only watches after a loss, and how to go on, in half a sentence. */
export function watchReason({ since, why, aside }: Loss): string {
  const where = aside === null ? '' : `, kept as ${aside}`;
  return `Temporal's database was lost on ${since} (${why}${where}), and with it the histories, locks and budgets; look at the machines, then stop \`runward up\` and start it with --yes`;
}

/** What each start says until it is confirmed. */
export function lossNotice({ since, why, aside }: Loss): string {
  return [
    `Temporal's database was lost on ${since}: ${why}.${aside === null ? '' : ` It is kept as ${aside}.`}`,
    'Gone with it: the histories of past operations, the locks of operations that were under way, and the ledger that budgets are counted from.',
    'So Runward only watches: it looks, plans and tells, and writes nothing.',
    'Look whether a recovery was cut off on your machines (`runward status`), then confirm: stop this, and start `runward up --yes`.',
  ].join('\n');
}

function lossFile(folder: string): string {
  return join(folder, 'lost-history.json');
}
