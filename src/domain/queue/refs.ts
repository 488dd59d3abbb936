import type { EventFilter, ProtectedRefs } from './policy.ts';
import type { Run } from './run.ts';

// For which ref a run is, and what that means to rules.

/** `unknown`: nobody knows the repository's default branch, which this may be. */
export type Protection = 'protected' | 'free' | 'unknown';

/**
 * Whether runs are for a ref whose every commit is to get its verdict. Globs are compared with the branch that the change is on, also in a fork;
 * the default branch is the repository's own. A push of which GitHub does not say the branch may be for any of them.
 * @param defaultBranch `null` if GitHub does not say
 */
export function protection(
  { patterns, defaultBranch: isDefaultMeant }: ProtectedRefs,
  defaultBranch: string | null,
): (run: Run) => Protection {
  const globs = patterns.map(({ pattern }) => new RegExp(`^(?:${pattern})$`));
  return ({ event, branch, isFromFork }) => {
    if (branch === null) {
      const mayBeOne = globs.length > 0 || isDefaultMeant;
      return event === 'push' && mayBeOne ? 'protected' : 'free';
    }
    if (globs.some((glob) => glob.test(branch))) {
      return 'protected';
    }
    // A push is never a fork's, also if GitHub names no head repository.
    if (!isDefaultMeant || (isFromFork && event !== 'push')) {
      return 'free';
    }
    return defaultBranch === null ? 'unknown' : branch === defaultBranch ? 'protected' : 'free';
  };
}

/** What a push of a tag is called in configuration: GitHub calls it `push` as well. */
const TAG_PUSH = 'push:tags';

/** Whether runs of its event are meant. `unread`: that hangs on whether its ref is a tag, which nobody has asked. `unknown`: GitHub does not say. */
export type Named = 'named' | 'not-named' | 'unread' | 'unknown';

/** @param tags whether names of pushes are tags', as far as that was read */
export function isNamed(events: EventFilter, { event, branch }: Run, tags: ReadonlyMap<string, boolean | null>): Named {
  const as = (name: string): Named => (holds(events, name) ? 'named' : 'not-named');
  if (event !== 'push' || as('push') === as(TAG_PUSH)) {
    return as(event);
  }
  const isTag = branch === null ? null : tags.get(branch);
  if (isTag === undefined) {
    return 'unread';
  }
  return isTag === null ? 'unknown' : as(isTag ? TAG_PUSH : 'push');
}

function holds(events: EventFilter, name: string): boolean {
  if (events === 'all') {
    return true;
  }
  return 'only' in events ? events.only.includes(name) : !events.except.includes(name);
}

/** Why runs for a name are left alone, of which GitHub does not say whether it is a tag. */
export function unknownTagNote(rule: string, name: string): string {
  return `${rule}: runs for ${name} are left alone, since GitHub does not say whether it is a tag: its ref is deleted, or the token lacks the permission "Contents: read"`;
}

export function unknownDefaultNote(rule: string): string {
  return `${rule}: pushes are left alone, since GitHub does not say which is the default branch, whose runs are protected`;
}
