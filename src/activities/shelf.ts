/** What was read before, by a key, in a worker's memory; the oldest is forgotten first. */
export interface Shelf<T> {
  /** `null` if there is none that is younger than `freshMs`. */
  find(key: string, freshMs?: number): T | null;
  keep(key: string, value: T): void;
}

export function createShelf<T>(size: number): Shelf<T> {
  const kept = new Map<string, { readonly at: number; readonly value: T }>();
  return {
    find(key, freshMs = Infinity) {
      const found = kept.get(key);
      return found !== undefined && performance.now() - found.at < freshMs ? found.value : null;
    },
    keep(key, value) {
      kept.delete(key);
      kept.set(key, { at: performance.now(), value });
      for (const oldest of kept.keys()) {
        if (kept.size <= size) {
          break;
        }
        kept.delete(oldest);
      }
    },
  };
}
