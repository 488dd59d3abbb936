/** Which names of pushes are tags, as GitHub said before. A name may become one later, so what was said before a push does not hold for it. */
export interface TagsShelf {
  /** `undefined` if nothing was said since the newest push of that name; epoch milliseconds by GitHub's clock. */
  find(scope: string, name: string, pushedAt: number): boolean | undefined;
  /** @param saidAt by GitHub's clock */
  keep(scope: string, name: string, isTag: boolean, saidAt: number): void;
}

/** Some 100 bytes each. */
const KEPT = 20_000;
/** Lists lag, and so may refs. */
const LAG_MS = 60_000;

/** In memory; the oldest are forgotten first. */
export function createTagsShelf(size = KEPT): TagsShelf {
  const kept = new Map<string, { readonly isTag: boolean; readonly saidAt: number }>();
  return {
    find(scope, name, pushedAt) {
      const found = kept.get(`${scope} ${name}`);
      return found !== undefined && found.saidAt - LAG_MS > pushedAt ? found.isTag : undefined;
    },
    keep(scope, name, isTag, saidAt) {
      kept.delete(`${scope} ${name}`);
      kept.set(`${scope} ${name}`, { isTag, saidAt });
      for (const oldest of kept.keys()) {
        if (kept.size <= size) {
          break;
        }
        kept.delete(oldest);
      }
    },
  };
}
