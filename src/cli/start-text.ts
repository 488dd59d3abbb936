import type { Credentials } from '../config/config.ts';
import { bySeverity } from '../domain/alert.ts';
import type { Finding } from '../domain/finding.ts';
import type { RunnerLook } from '../domain/pass.ts';
import { withNextStep } from '../domain/provider.ts';
import { standingOf, type RunnerStatus, type Standing } from '../domain/status.ts';
import type { Permission } from '../github/port.ts';
import { permissionName } from '../github/refusals.ts';
import type { TokenNews } from '../worker/token-access.ts';
import { formatDuration } from '../domain/duration.ts';
import { styled } from './invocation.ts';
import type { ScheduleStatus } from './schedule-text.ts';

// What `up` and `worker` say of what they need: one line each.

/** `fine`: it works. `limited`: it works in part, or somebody should look. `broken`: it can't work, and the line says what to do. */
type Mark = 'fine' | 'limited' | 'broken';

export interface StartLine {
  readonly mark: Mark;
  readonly text: string;
}

const MARKS: Readonly<Record<Mark, readonly [sign: string, style: 'green' | 'yellow' | 'red']>> = {
  fine: ['✔', 'green'],
  limited: ['!', 'yellow'],
  broken: ['✗', 'red'],
};

/** Colored on a terminal. */
export function markedText({ mark, text }: StartLine): string {
  const [sign, style] = MARKS[mark];
  return `${styled(style, sign, process.stderr)} ${text}`;
}

/** Whose token it is, and what it lacks, by name. */
export function tokenLines(news: TokenNews, credentials: Credentials): readonly StartLine[] {
  if (news.kind === 'unanswered') {
    return [{ mark: 'broken', text: `GitHub: ${news.why}. Runward goes on, and tries again.` }];
  }
  const { token, scopes } = news;
  const who = token.login === null ? installationText(credentials) : `${token.login}, ${token.kind} token${sourceText(credentials)}`;
  const end = token.expiresAt === null ? '' : `, expires ${new Date(token.expiresAt).toISOString().slice(0, 10)}`;
  const lacks = scopes.flatMap(({ scope, missing }) => missing.map((lack) => ({ mark: 'limited' as const, text: lackText(scope, lack) })));
  const may =
    lacks.length === 0
      ? `may do all that Runward needs at ${scopes.map(({ scope }) => scope).join(', ')}`
      : 'lacks what follows. Runward asks again every 5 min.';
  return [{ mark: lacks.length === 0 ? 'fine' : 'limited', text: `GitHub: ${who}${end}; ${may}` }, ...lacks];
}

function installationText(credentials: Credentials): string {
  return credentials.kind === 'app'
    ? `GitHub App ${credentials.appId}, installation ${credentials.installationId}`
    : `token of a GitHub App${sourceText(credentials)}`;
}

function sourceText(credentials: Credentials): string {
  switch (credentials.kind) {
    case 'token':
      return ` from ${credentials.variable}`;
    case 'token-file':
      return ` from ${credentials.path}`;
    case 'gh':
      return ' from `gh auth token`';
    case 'app':
      return '';
  }
}

function lackText(scope: string, { permission, why }: { readonly permission: Permission; readonly why: string }): string {
  const [act, consequence] = CANNOT[permission];
  const classic = why.startsWith('GitHub refused') ? '' : `; ${why}`;
  return `Token cannot ${act} at ${scope} (needs ${permissionName(permission)}${classic}); ${consequence}.`;
}

/** What a token can't do without it, and what that means. */
const CANNOT: Readonly<Record<Permission, readonly [act: string, consequence: string]>> = {
  'administration=write': ['register runners', 'Runward only watches them'],
  'organization_self_hosted_runners=write': ['register runners', 'Runward only watches them'],
  'actions=write': ['cancel and re-run workflow runs', 'Runward only watches the queue'],
  'actions=read': ['read workflow runs', 'Runward does not know the queue'],
  'contents=read': ['read tags and files', 'runs of tags are skipped, and damaged actions are not recognized'],
  'checks=read': ['read why jobs failed', 'those that failed because of the actions cache are not recognized'],
};

/** The machines' provider on this computer. */
export interface Provider {
  /** The client's name or path. */
  readonly multipass: string;
  readonly isInstalled: boolean;
}

/** One line for the machines' provider: of all machines of this computer. */
export function providerLine(machines: readonly RunnerLook[], { multipass, isInstalled }: Provider): StartLine | null {
  const unread = machines.flatMap(({ machine }) => (machine.known ? [] : [machine.why]));
  if (machines.length === 0) {
    return null;
  }
  if (!isInstalled) {
    const where = multipass.includes('/') ? `${multipass} is no program` : `there is no ${multipass} on PATH`;
    return {
      mark: 'broken',
      text: `Multipass: ${where}. Install it (https://multipass.run), or set MULTIPASS. Each health check tries again.`,
    };
  }
  if (unread.length === machines.length) {
    return { mark: 'broken', text: `Multipass: ${withNextStep(unread[0] ?? '')}. Each health check tries again.` };
  }
  const names = new Set(machines.map(({ target }) => target.machine));
  const running = new Set(
    machines.filter(({ machine }) => machine.known && machine.value.state === 'running').map(({ target }) => target.machine),
  );
  return { mark: 'fine', text: `Multipass: ${running.size} of ${names.size} machine${names.size === 1 ? '' : 's'} running` };
}

const STANDING_MARKS: Readonly<Record<Standing, Mark>> = {
  healthy: 'fine',
  degraded: 'limited',
  down: 'broken',
  unknown: 'limited',
  drained: 'limited',
  stopped: 'limited',
  suspended: 'limited',
};

const MAYBE_MEANT: ReadonlySet<string> = new Set(['machine-stopped', 'machine-suspended']);

/** How a runner stands, and what to do next, in the words of `status`. */
export function runnerLine({ name, verdict, findings }: Pick<RunnerStatus, 'name' | 'verdict' | 'findings'>): StartLine {
  const standing = standingOf(verdict, findings);
  // That a person wants it so explains more than what else is wrong then.
  const wanted = standing === verdict ? undefined : findings.find(({ code }) => code === standing || code === `machine-${standing}`);
  const finding = wanted ?? bySeverity(findings)[0];
  const mark = STANDING_MARKS[standing];
  if (finding === undefined) {
    return { mark, text: standing === 'healthy' ? `${name} healthy: online, service active` : `${name} ${standing}` };
  }
  // Whether a machine is meant to stand still nobody but its reader knows.
  const isTold = finding.severity !== 'info' || MAYBE_MEANT.has(finding.code);
  return { mark, text: `${name} ${standing}: ${finding.summary}${isTold ? ` → ${finding.advice}` : ''}` };
}

/** What concerns no runner alone. */
export function sharedLines(findings: readonly Finding[]): readonly StartLine[] {
  return findings
    .filter(({ severity }) => severity !== 'info')
    .map(({ summary, advice }) => ({ mark: 'limited', text: `${summary} → ${advice}` }));
}

type Scheduled = ScheduleStatus & { readonly care: 'health' | 'queue' };

/** Such as `Schedules: health check every 5 min, next 02:55:00; queue maintenance every 5 min, next 02:56:10`. */
export function schedulesLine(schedules: readonly Scheduled[]): StartLine {
  const parts = (['health', 'queue'] as const).flatMap((care) => {
    const ofKind = schedules.filter((schedule) => schedule.care === care && schedule.exists);
    const [first] = ofKind;
    return first === undefined ? [] : [`${SCHEDULED[care]} ${timesText(first, ofKind)}`];
  });
  const isPaused = schedules.some(({ paused }) => paused === true);
  return {
    mark: isPaused ? 'limited' : 'fine',
    text: `Schedules: ${parts.join('; ')}${isPaused ? '. Go on with `runward schedule resume`.' : ''}`,
  };
}

const SCHEDULED = { health: 'health check', queue: 'queue maintenance' } as const;

function timesText({ everySeconds }: Scheduled, all: readonly Scheduled[]): string {
  const [next] = all.flatMap(({ nextPassAt }) => (nextPassAt === null ? [] : [nextPassAt])).toSorted();
  const paused = all.filter((schedule) => schedule.paused === true);
  const every = everySeconds === null ? '' : `every ${everySeconds === 60 ? '1 min' : formatDuration(everySeconds * 1_000)}`;
  const note = paused.find((schedule) => schedule.note !== null)?.note;
  const pause =
    paused.length === 0
      ? []
      : [`paused${paused.length === all.length ? '' : ` at ${paused.length} of ${all.length} scopes`}${note == null ? '' : ` (${note})`}`];
  return [every, ...(next === undefined ? [] : [`next ${clockText(new Date(next))}`]), ...pause].join(', ');
}

/** Local, such as `02:56:36`. */
export function clockText(at: Date): string {
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':');
}
