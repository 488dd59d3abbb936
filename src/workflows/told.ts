import { setCurrentDetails, sleep } from '@temporalio/workflow';
import type { Limited } from '../activities/contract.ts';
import type { Progress } from '../domain/report.ts';

/** What is told of an operation while it works: by its query, and in Temporal's UI. */
export class Told {
  readonly #asked: string;
  #doing = 'looking';

  /** `asked`: what it is about. */
  constructor(asked: string) {
    this.#asked = asked;
  }

  say(doing: string): void {
    this.#doing = doing;
    setCurrentDetails(doing);
  }

  progress(): Progress {
    return { runner: this.#asked, doing: this.#doing, steps: [], outcome: null };
  }

  /** Waits until GitHub's limit is over. */
  waitFor(limited: Limited): Promise<void> {
    return waitOutLimit(limited, (doing) => this.say(doing));
  }
}

/** Waits on a timer until GitHub's limit is over, and says so. */
export async function waitOutLimit({ waitMs, why }: Limited, say: (doing: string) => void): Promise<void> {
  say(`GitHub's limit is reached until ${new Date(Date.now() + waitMs).toISOString()}: ${why}`);
  await sleep(waitMs, { summary: "wait for GitHub's limit" });
}
