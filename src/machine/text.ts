import { endOf } from '../domain/plain.ts';

/** How much of a command's output an error may carry, in characters. */
const EVIDENCE_LENGTH = 2_000;

/** The end of what a command printed, on one line. */
export function evidenceOf(text: string): string {
  return endOf(text, EVIDENCE_LENGTH);
}
