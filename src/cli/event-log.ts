import type { OperationBegan, OperationEnded, RunwardEvent } from '../domain/event.ts';
import { eventText, isTrouble } from './event-text.ts';

export interface ToldEvent {
  readonly event: RunwardEvent;
  readonly text: string;
  readonly isTrouble: boolean;
}

/** An operation that takes longer is told when it has begun, too: whoever looks on wants to know that something is being done. */
const LONG_MS = 15_000;

/** Picks what is told of all that happens: each thing once. */
export class EventLog {
  readonly #tell: (told: ToldEvent) => void;
  readonly #longMs: number;
  readonly #begun = new Map<string, NodeJS.Timeout>();
  /** By `scope/runner` why a check's operation was refused there last: the next checks say the same. */
  readonly #refused = new Map<string, string>();

  constructor(tell: (told: ToldEvent) => void, longMs: number = LONG_MS) {
    this.#tell = tell;
    this.#longMs = longMs;
  }

  readonly hear = (event: RunwardEvent): void => {
    if (event.kind === 'operation-began') {
      this.#begin(event);
      return;
    }
    if (event.kind === 'operation-ended') {
      this.#forget(event.workflowId);
      if (this.#isRepeated(event)) {
        return;
      }
    }
    this.#say(event);
  };

  close(): void {
    [...this.#begun.keys()].forEach((workflowId) => this.#forget(workflowId));
  }

  #begin(event: OperationBegan): void {
    this.#forget(event.workflowId);
    const timer = setTimeout(() => this.#say(event), this.#longMs);
    this.#begun.set(event.workflowId, timer.unref());
  }

  #forget(workflowId: string): void {
    clearTimeout(this.#begun.get(workflowId));
    this.#begun.delete(workflowId);
  }

  #isRepeated({ scope, runner, trigger, outcome, summary }: OperationEnded): boolean {
    const key = `${scope}/${runner}`;
    const refusal = trigger !== 'manual' && outcome.startsWith('refused-') ? `${outcome} ${summary}` : null;
    const isRepeated = refusal !== null && this.#refused.get(key) === refusal;
    if (refusal === null) {
      this.#refused.delete(key);
    } else {
      this.#refused.set(key, refusal);
    }
    return isRepeated;
  }

  #say(event: RunwardEvent): void {
    this.#tell({ event, text: eventText(event), isTrouble: isTrouble(event) });
  }
}
