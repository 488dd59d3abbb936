// Answers of GitHub that it may call unchanged by a 304, which costs nothing of the hourly limit.

import type { z } from 'zod';
import type { Answer } from './client.ts';

/** What is kept of an answer: its checked part alone, and neither its body nor a token. */
export interface StoredAnswer {
  readonly etag: string;
  /** Other calls read the same address otherwise. */
  readonly checkedBy: z.ZodType;
  readonly answer: Answer<unknown>;
}

/** @param key address, form of the answer and fingerprint of the token: GitHub's ETags hold for these three together. */
export interface AnswerStore {
  find(key: string): StoredAnswer | undefined;
  keep(key: string, stored: StoredAnswer): void;
}

/**
 * In memory; the ones that were not asked for longest are forgotten first.
 * @param size How many. A scope of 1,000 runners in the rush hour has some fifty lists.
 */
export function createAnswerStore(size = 500): AnswerStore {
  const answers = new Map<string, StoredAnswer>();
  const keep = (key: string, stored: StoredAnswer): void => {
    answers.delete(key);
    answers.set(key, stored);
    for (const oldest of answers.keys()) {
      if (answers.size <= size) break;
      answers.delete(oldest);
    }
  };
  return {
    find(key) {
      const stored = answers.get(key);
      if (stored) keep(key, stored);
      return stored;
    },
    keep,
  };
}
