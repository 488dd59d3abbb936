/** What happens at a time. */
export interface QueuedEvent {
  readonly at: number;
  readonly order: number;
  /** `null` once it was taken back. */
  action: (() => void | Promise<unknown>) | null;
}

/** Events by their time, and of the same time in the order in which they were added: a binary heap. */
export class EventQueue {
  readonly #heap: QueuedEvent[] = [];
  #order = 0;

  add(at: number, action: () => void | Promise<unknown>): QueuedEvent {
    const event: QueuedEvent = { at, order: this.#order++, action };
    this.#heap.push(event);
    this.#rise(this.#heap.length - 1);
    return event;
  }

  /** When the next one is due, or one that was taken back; `null` if there is none. */
  nextAt(): number | null {
    return this.#heap[0]?.at ?? null;
  }

  /** The next event that was not taken back, if it is due by then. */
  takeUntil(at: number): QueuedEvent | null {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || (first.action !== null && first.at > at)) {
        return null;
      }
      const last = this.#heap.pop() as QueuedEvent;
      if (last !== first) {
        this.#heap[0] = last;
        this.#sink(0);
      }
      if (first.action !== null) {
        return first;
      }
    }
  }

  #rise(from: number): void {
    const heap = this.#heap;
    const event = heap[from] as QueuedEvent;
    let index = from;
    while (index > 0) {
      const above = (index - 1) >> 1;
      const other = heap[above] as QueuedEvent;
      if (!isBefore(event, other)) {
        break;
      }
      heap[index] = other;
      index = above;
    }
    heap[index] = event;
  }

  #sink(from: number): void {
    const heap = this.#heap;
    const event = heap[from] as QueuedEvent;
    let index = from;
    for (;;) {
      let below = 2 * index + 1;
      if (below >= heap.length) {
        break;
      }
      if (below + 1 < heap.length && isBefore(heap[below + 1] as QueuedEvent, heap[below] as QueuedEvent)) {
        below += 1;
      }
      const other = heap[below] as QueuedEvent;
      if (!isBefore(other, event)) {
        break;
      }
      heap[index] = other;
      index = below;
    }
    heap[index] = event;
  }
}

function isBefore(one: QueuedEvent, other: QueuedEvent): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}
