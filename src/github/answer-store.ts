// Answers of GitHub that it may call unchanged by a 304, which costs nothing of the hourly limit.

import type { z } from 'zod';
import type { Answer } from './client.ts';

/** What is kept of an answer: its checked part alone, and neither its body nor a token. */
export interface StoredAnswer {
  readonly etag: string;
  /** Other calls read the same address otherwise. */
  readonly checkedBy: z.ZodType;
  readonly answer: Answer<unknown>;
  /** When GitHub was last asked for it, by `performance.now()`. */
  readonly askedAt: number;
}

/** @param key address, form of the answer and fingerprint of the token: GitHub's ETags hold for these three together. */
export interface AnswerStore {
  find(key: string): StoredAnswer | undefined;
  keep(key: string, stored: StoredAnswer): void;
  /** GitHub was asked again, and it still holds. `githubTime`: epoch milliseconds by GitHub's clock. */
  confirm(key: string, asked: { readonly askedAt: number; readonly githubTime: number }): void;
}

/**
 * What a queue of 10,000 runs takes: measured were 27 MB for their jobs (one each; 57 MB for ten each), 27 MB for the runs one by one and
 * 6 MB for the hundred pages that list them. A store with less room than one pass reads keeps nothing for the next one.
 */
const MOST_ANSWERS = 25_000;
const MOST_BYTES = 128_000_000;
/** An answer takes this much by itself, and two bytes for each character of its value as JSON; measured likewise. */
const BYTES_OF_ONE = 2_400;
const BYTES_OF_A_CHARACTER = 2;

/**
 * In memory; the ones that were not asked for longest are forgotten first.
 * @param mostAnswers 25,000 unless given: a pass over a queue of 10,000 runs reads some 20,100
 * @param mostBytes 128 MB unless given, estimated
 */
export function createAnswerStore(mostAnswers = MOST_ANSWERS, mostBytes = MOST_BYTES): AnswerStore {
  const answers = new Map<string, { readonly stored: StoredAnswer; readonly bytes: number }>();
  let bytesKept = 0;
  const forget = (key: string): void => {
    bytesKept -= answers.get(key)?.bytes ?? 0;
    answers.delete(key);
  };
  const put = (key: string, stored: StoredAnswer, bytes: number): void => {
    forget(key);
    answers.set(key, { stored, bytes });
    bytesKept += bytes;
  };
  return {
    find(key) {
      const found = answers.get(key);
      if (found) put(key, found.stored, found.bytes);
      return found?.stored;
    },
    confirm(key, { askedAt, githubTime }) {
      const found = answers.get(key);
      if (found) answers.set(key, { ...found, stored: { ...found.stored, askedAt, answer: { ...found.stored.answer, githubTime } } });
    },
    keep(key, stored) {
      put(key, stored, bytesOf(stored));
      for (const oldest of answers.keys()) {
        if (answers.size <= mostAnswers && bytesKept <= mostBytes) break;
        forget(oldest);
      }
    },
  };
}

function bytesOf({ answer }: StoredAnswer): number {
  return BYTES_OF_ONE + BYTES_OF_A_CHARACTER * (JSON.stringify(answer.value) ?? '').length;
}
