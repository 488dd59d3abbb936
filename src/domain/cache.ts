// The runner's actions cache, `_work/_actions`: entries, damage, and what is to go.

/** What is to go from the cache. */
export type CacheWanted =
  | { readonly kind: 'all' }
  /** Entries that nothing has used for so long, by the newest access or change inside and by the runner's own logs; leftovers of downloads too. */
  | { readonly kind: 'unused'; readonly forMs: number }
  /** Of what these name, the entries that the guest finds damaged; without any, what the runner has noted as whole and is empty or gone. */
  | { readonly kind: 'damaged'; readonly named: readonly NamedDamage[] };

/** What a job's words name. They are a job's, so that the guest looks whether it is so. */
export interface NamedDamage {
  /** Below the cache, to an entry or into one. */
  readonly path: string;
  /**
   * What is not there or can't be read: the `entry` that the path leads to or into; or, as GitHub holds it at this place of the action, the
   * `manifest` of the folder, or the `file` or folder itself.
   */
  readonly lacks: 'entry' | 'manifest' | 'file';
}

/** A version of an action, or what a download has left. */
export interface CacheEntry {
  /** Below the cache, such as `actions/checkout/v4`. */
  readonly path: string;
  readonly bytes: number;
  /** How long nothing has used it, milliseconds by the guest's clock; `null` where that could not be read. */
  readonly unusedMs: number | null;
}

/** What the cache holds, and what of it is to go. */
export interface CacheListed {
  readonly bytes: number;
  readonly entries: number;
  /** The largest of those that are to go, 100 at most. */
  readonly found: readonly CacheEntry[];
  readonly foundBytes: number;
  readonly foundEntries: number;
  /** Of what was named as damaged. */
  readonly damage: readonly CacheDamage[];
}

/** What a damaged entry looks like, before it is removed. */
export interface CacheDamage {
  /** As it was named. */
  readonly path: string;
  /**
   * `missing`: it is not there (any more). `empty`: the runner has noted it as whole, and nothing is in it. `no-manifest`: there are files, and neither
   * `action.yml`, `action.yaml` nor `Dockerfile` where one is to be. `unreadable`: the runner's user may not read it. `whole`: nothing is wrong with it (any more).
   */
  readonly state: 'missing' | 'empty' | 'no-manifest' | 'unreadable' | 'whole';
  /** `null` where it is missing. */
  readonly owner: string | null;
  /** Octal, such as `755`; `null` where it is missing. */
  readonly mode: string | null;
  readonly isImmutable: boolean;
}

/** What was removed, and seen to be gone. */
export interface CacheRemoved {
  readonly kind: 'removed';
  /** Whether all of it was removed. */
  readonly isAll: boolean;
  readonly entries: number;
  readonly bytes: number;
  /** Entries of which it could not be told in time whether anything uses them: they stay, and the cache does not count as cleaned. */
  readonly unmeasured: number;
  /** The largest of them, 50 at most. */
  readonly names: readonly string[];
  /** Of what was named as damaged. */
  readonly damage: readonly CacheDamage[];
  /** Of the disk before anything was removed. */
  readonly freeBytes: number;
  /** `null` where the file system has no fixed number. */
  readonly freeInodes: number | null;
}
