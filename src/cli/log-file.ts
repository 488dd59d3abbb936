import { appendFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

/** Beyond it the file becomes `runward.log.1`, which replaces the one before: some ten thousand events each. */
const MOST_BYTES = 5 * 1024 * 1024;

export function logFileOfRunward(folder: string): string {
  return join(folder, 'runward.log');
}

/** Runward's log: what `up` says, what happened, and what the SDK warns of, each line with its full time. */
export class LogFile {
  readonly #file: string;
  readonly #mostBytes: number;
  readonly #onFailure: (error: unknown) => void;
  #isBroken = false;

  /** @param onFailure told once of a row of lines that could not be written; `up` goes on */
  constructor(folder: string, onFailure: (error: unknown) => void, mostBytes: number = MOST_BYTES) {
    this.#file = logFileOfRunward(folder);
    this.#mostBytes = mostBytes;
    this.#onFailure = onFailure;
  }

  write(text: string, at = new Date()): void {
    const lines = stripVTControlCharacters(text)
      .split('\n')
      .map((line) => `${at.toISOString()} ${line}\n`)
      .join('');
    try {
      this.#makeRoom();
      appendFileSync(this.#file, lines, { mode: 0o600 });
      this.#isBroken = false;
    } catch (error) {
      if (!this.#isBroken) {
        this.#isBroken = true;
        this.#onFailure(error);
      }
    }
  }

  #makeRoom(): void {
    const { size = 0 } = statSync(this.#file, { throwIfNoEntry: false }) ?? {};
    if (size >= this.#mostBytes) {
      renameSync(this.#file, `${this.#file}.1`);
    }
  }
}
