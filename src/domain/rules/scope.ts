import type { PassObservation, WaitingJobs } from '../pass.ts';
import type { HealthPolicy } from '../policy.ts';
import { momentOf, serves, shortened, spanOf, waitedMs } from '../situation.ts';
import type { Rule } from './rule.ts';

// What GitHub says of a repository or organisation, and of the token.

export interface ScopeSituation {
  readonly seen: PassObservation;
  readonly policy: HealthPolicy;
}

const LIMITED = /rate limit/i;
/** The ends of what the GitHub adapter says of a token, or of its lack. */
const REFUSES_TOKEN =
  /token is wrong|token is empty|token file|private key|gave no token|no GH_TOKEN is set|gets no token|lacks permission|has not the right|not authorised|may not see it/;
/** GitHub's 404, which tells a wrong name from one that is hidden from the token to nobody. */
const NOT_FOUND = /does not exist, or the token may not see it/;
const NAMES_PERMISSION = /lacks permission|has not the right|not authorised|may not see it/;

function whyUnread({ seen }: ScopeSituation): string | null {
  return seen.github.known ? null : seen.github.why;
}

function isNotFound(scope: ScopeSituation): boolean {
  return NOT_FOUND.test(whyUnread(scope) ?? '');
}

/** Parts of the look that were refused for want of a permission. */
function refusedParts({ seen }: ScopeSituation): readonly string[] {
  if (!seen.github.known) {
    return [];
  }
  const { queue, versions } = seen.github.value;
  return [queue, versions].flatMap((part) => (!part.known && NAMES_PERMISSION.test(part.why) ? [part.why] : []));
}

/** Groups that no registered runner serves, and none that is configured would, for too long. */
function unservable({ seen, policy }: ScopeSituation): readonly WaitingJobs[] {
  const github = seen.github.known ? seen.github.value : null;
  if (github === null || !github.queue.known || github.queue.value === null) {
    return [];
  }
  return github.queue.value.waiting.filter(
    (jobs) =>
      !jobs.isServable &&
      waitedMs(jobs, github) >= policy.unservableAfterMs &&
      !seen.runners.some(({ target }) => serves({ target, registered: null }, jobs.labels)),
  );
}

export const SCOPE_RULES: readonly Rule<ScopeSituation>[] = [
  {
    code: 'github-limited',
    severity: 'warning',
    when: (scope) => {
      const why = whyUnread(scope);
      return why !== null && LIMITED.test(why) ? shortened(why) : null;
    },
    summary: ({ seen }) => `GitHub's rate limit is reached, so nothing is known of ${seen.scope}`,
    advice: () => 'wait; if it happens again, give Runward a token of its own',
  },
  {
    code: 'github-unknown',
    severity: 'warning',
    when: (scope) => {
      const why = whyUnread(scope);
      return why === null || LIMITED.test(why) ? null : shortened(why);
    },
    summary: (scope) =>
      isNotFound(scope)
        ? `GitHub knows no ${scope.seen.scope}, or hides it from the token`
        : `GitHub could not be asked about ${scope.seen.scope}`,
    advice: (scope) =>
      isNotFound(scope)
        ? `check the name ${scope.seen.scope}, and that the token may see it; nothing is changed while GitHub is unknown`
        : REFUSES_TOKEN.test(whyUnread(scope) ?? '')
          ? 'set GH_TOKEN to a token that GitHub accepts, or log in with `gh auth login`; nothing is changed while GitHub is unknown'
          : 'wait, and look at githubstatus.com and the network; nothing is changed while GitHub is unknown',
  },
  {
    code: 'permission-missing',
    severity: 'warning',
    when: (scope) => {
      const [part] = refusedParts(scope);
      return part === undefined ? null : shortened(part);
    },
    summary: ({ seen }) => `the token may not read all that concerns ${seen.scope}`,
    advice: () => 'give the token the permission that GitHub names',
    isRead: ({ seen }) => seen.github.known && seen.github.value.queue.known && seen.github.value.versions.known,
  },
  {
    code: 'queue-unknown',
    severity: 'info',
    when: ({ seen }) => (seen.github.known && !seen.github.value.queue.known ? shortened(seen.github.value.queue.why) : null),
    summary: ({ seen }) => `the queue of ${seen.scope} could not be counted`,
    advice: () => 'see what GitHub answered',
    explainedBy: ['permission-missing'],
  },
  {
    code: 'token-expiring',
    severity: 'warning',
    when: ({ seen, policy }) => {
      const { tokenExpiresAt = null, observedAt = 0 } = seen.github.known ? seen.github.value : {};
      return tokenExpiresAt !== null && tokenExpiresAt - observedAt <= policy.tokenWarningMs
        ? `it expires ${momentOf(tokenExpiresAt)}`
        : null;
    },
    summary: ({ seen }) => `the token for ${seen.scope} expires soon`,
    advice: () => 'make a new one and give it to Runward',
  },
  {
    code: 'jobs-unservable',
    severity: 'warning',
    when: (scope) => {
      const [first, ...others] = unservable(scope);
      if (first === undefined || !scope.seen.github.known) {
        return null;
      }
      const more = others.length === 0 ? '' : `, and ${others.length} other set${others.length === 1 ? '' : 's'} of labels`;
      return shortened(
        `${first.count} with [${first.labels.join(', ')}], run ${first.runId}, for ${spanOf(waitedMs(first, scope.seen.github.value))}${more}`,
      );
    },
    summary: ({ seen }) => `jobs of ${seen.scope} wait for labels that no runner has`,
    advice: () => "look for a slip in the workflow's `runs-on`, or give a runner these labels; GitHub cancels the jobs after a day",
    isRead: ({ seen }) => seen.github.known && seen.github.value.queue.known,
  },
];
