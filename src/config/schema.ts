import { LEDGER_CAPACITY } from '../domain/ledger.ts';
import { packageNamed } from '../domain/package.ts';
import { posix } from 'node:path';
import { z } from 'zod';

/** Every `error` below says what is allowed, in words that follow "allowed:". */
function text(pattern: RegExp, allowed: string): z.ZodString {
  return z.string({ error: allowed }).regex(pattern, { error: allowed, abort: true });
}

function choice<const T extends readonly [string, ...string[]]>(words: T): z.ZodEnum<{ [K in T[number]]: K }> {
  return z.enum(words, { error: words.join(', ').replace(/, ([^,]*)$/, ' or $1') });
}

function count(most: number, allowed: string): z.ZodNumber {
  return z.number({ error: allowed }).int({ error: allowed }).min(1, { error: allowed }).max(most, { error: allowed });
}

function positive(allowed: string): z.ZodNumber {
  return z.number({ error: allowed }).gt(0, { error: allowed });
}

function list<T extends z.ZodType>(item: T, allowed: string): z.ZodArray<T> {
  return z.array(item, { error: allowed });
}

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A number and a unit, such as `90s`; read as milliseconds. */
function duration(allowed: string, leastMs: number, mostMs: number) {
  return text(/^[1-9][0-9]{0,7}[smhd]$/, allowed)
    .transform((written) => Number(written.slice(0, -1)) * UNIT_MS[written.slice(-1) as keyof typeof UNIT_MS])
    .refine((milliseconds) => milliseconds >= leastMs && milliseconds <= mostMs, {
      error: allowed,
    });
}

function section<T extends z.ZodRawShape>(shape: T) {
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'invalid_type' ? `a mapping of ${Object.keys(shape).join(', ')}` : undefined),
  });
}

/** https://docs.github.com/en/enterprise-cloud@latest/admin/managing-iam/iam-configuration-reference/username-considerations-for-external-authentication: letters, digits, inner hyphens; `_shortcode` at the end of managed users. */
export const repository = text(
  /^[A-Za-z0-9][A-Za-z0-9-]*(_[A-Za-z0-9]+)?\/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}$/,
  'a repository as owner/name, such as octo-org/widgets',
);
export const organisation = text(/^[A-Za-z0-9][A-Za-z0-9-]{0,38}$/, 'the name of an organisation, such as octo-org');
export const hostName = text(
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
  'a name of up to 63 letters, digits, dots, hyphens and underscores, such as mac-mini',
);
export const runnerName = text(
  /^[A-Za-z0-9]([A-Za-z0-9 ._-]{0,62}[A-Za-z0-9._-])?$/,
  "the runner's name on GitHub: up to 64 letters, digits, blanks, dots, hyphens and underscores",
);
export const machineName = text(
  /^[A-Za-z]([A-Za-z0-9-]{0,62}[A-Za-z0-9])?$/,
  'the name of a Multipass instance: letters, digits and hyphens, beginning with a letter',
);

const DIRECTORY = 'an absolute path without .., such as /opt/actions-runner';
export const runnerDirectory = text(/^\/\P{Cc}*$/u, DIRECTORY)
  .refine((path) => /[^/.]/.test(path) && !path.split('/').includes('..'), { error: DIRECTORY })
  .transform((path) => posix.normalize(path).replace(/\/$/, ''));

/** config.sh refuses root. */
export const runnerUser = text(/^(?!root$)[A-Za-z_][A-Za-z0-9_.-]{0,31}$/, 'a user of the guest other than root, such as github-runner');
/** 256 is config.sh's own limit; it splits its argument at commas, and takes one that begins with a hyphen for an option. */
const label = text(/^[^\s,-]([^,\p{Cc}]{0,254}[^\s,])?$/u, 'a label of up to 256 characters, without commas and a hyphen at its beginning');
export const runnerLabels = list(label, 'a list of labels, such as [bpf-lsm]').transform((labels) =>
  [...new Map(labels.toReversed().map((name) => [name.toLowerCase(), name])).values()].toReversed(),
);

export const staleHours = positive('a number of hours above 0');
export const cacheDays = positive('a number of days above 0');

const WEB_ADDRESS = 'an https address without user, query and fragment, such as https://github.example.com; http only to this computer';
/** Tokens go there, which nobody on the way may read. */
export const webAddress = text(
  /^(https:\/\/[^\s/?#@]+|http:\/\/(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?)(\/[^\s?#@]*)?$/,
  WEB_ADDRESS,
)
  .refine((address) => URL.canParse(address), { error: WEB_ADDRESS })
  .transform((address) => address.replace(/\/+$/, ''));

const RECEIVER = 'an https address without user and fragment, such as https://alerts.example.com/runward; http only to this computer';
/** A path may hold a secret of the receiver's. */
const receiverAddress = text(
  /^(https:\/\/[^\s/?#@]+|http:\/\/(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?)([/?][^\s#]*)?$/,
  RECEIVER,
).refine((address) => URL.canParse(address), { error: RECEIVER });

const MIRROR = 'an https address without user, query and fragment, such as https://mirror.example.com/runner; http only to this computer';
const mirrorAddress = text(/^(https:\/\/[^\s/?#@]+|http:\/\/(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?)(\/[^\s?#@]*)?$/, MIRROR)
  .refine((address) => URL.canParse(address), { error: MIRROR })
  .transform((address) => address.replace(/\/+$/, ''));
const PACKAGE_FILE = "the path of a package under GitHub's name, such as /srv/actions-runner-linux-x64-2.337.0.tar.gz";
const packageFile = text(/^\P{Cc}+$/u, PACKAGE_FILE).refine((path) => packageNamed(path.split('/').at(-1) ?? '') !== null, {
  error: PACKAGE_FILE,
});

export const DEFAULT_DIRECTORY = '/opt/actions-runner';
export const DEFAULT_USER = 'github-runner';

export const runnerSchema = section({
  name: runnerName.meta({
    description: "The runner's name on GitHub.",
    examples: ['assay-bpf-runner'],
  }),
  vm: machineName.optional().meta({
    description: "The Multipass instance that the runner lives on. Default: the runner's name.",
  }),
  directory: runnerDirectory.prefault(DEFAULT_DIRECTORY).meta({ description: "The runner's directory in the VM, an absolute path." }),
  user: runnerUser.default(DEFAULT_USER).meta({ description: "The VM's user that the runner's service runs as." }),
  labels: runnerLabels.meta({
    description:
      'Custom labels; GitHub adds self-hosted, the operating system and the architecture. A recovery registers the runner with exactly these, so there is no default.',
    examples: [['bpf-lsm', 'assay-bpf-runner']],
  }),
  group: text(/^[^-\p{Cc}]\P{Cc}{0,254}$/u, 'the name of a runner group, without a hyphen at its beginning')
    .optional()
    .meta({
      description: "Runner group, only for an organisation's runners. Default: GitHub's default group.",
    }),
  registration: choice(['pristine', 'from-runner-directory']).default('pristine').meta({
    description:
      "pristine: a recovery registers the runner with a package that no job can change. from-runner-directory: with the programs in the runner's own directory, which jobs can change and so take the registration token; checks warn as long as it stands.",
  }),
  host: hostName.optional().meta({ description: "Name of the computer that owns the VM. Default: the file's own host." }),
}).meta({ title: 'Runner' });

/** Checked also where another part of the scope is wrong, so that both are told at once. */
const ALWAYS = { when: () => true };

const scopeSchema = section({
  repo: repository.optional().meta({ description: 'Repository, as owner/name.', examples: ['octo-org/widgets'] }),
  org: organisation.optional().meta({ description: 'Organisation, instead of a repository.', examples: ['octo-org'] }),
  runners: list(runnerSchema, 'a list of runners, each with name and labels')
    .min(1, { error: 'at least one runner' })
    .meta({ description: 'The runners registered there that Runward looks after.' }),
})
  .refine((scope) => !has(scope, 'repo') || !has(scope, 'org'), {
    ...ALWAYS,
    path: ['org'],
    error: 'either repo or org, not both',
  })
  .refine((scope) => has(scope, 'repo') || has(scope, 'org'), {
    ...ALWAYS,
    path: ['repo'],
    error: 'either repo or org',
  })
  .meta({ title: 'Scope', oneOf: [{ required: ['repo'] }, { required: ['org'] }] });

function has(scope: unknown, key: string): boolean {
  return typeof scope !== 'object' || scope === null || key in scope;
}

const ruleMode = choice(['on', 'off', 'plan']);
const RULE_MODE = 'on: act. plan: only say what would be done. off: leave alone.';

const EVENT_NAMES = 'all, or a list of events in the words of GitHub, such as push, push:tags or pull_request';
const eventNames = z.union([choice(['all']), list(text(/^[a-z_]+(:tags)?$/, 'an event, such as push'), EVENT_NAMES)], {
  error: EVENT_NAMES,
});

const queueSchema = section({
  stale: section({
    mode: ruleMode.default('on').meta({ description: RULE_MODE }),
    hours: staleHours.default(4).meta({ description: 'Hours in the queue before a job is stale.' }),
    events: eventNames.optional().meta({
      description: 'Events whose runs may become stale, or all. Default: all but push:tags, release, deployment and merge_group.',
    }),
    clock: choice(['online', 'wall']).default('online').meta({
      description: 'online: it stands still while no runner that could take the job is online. wall: it never stands still.',
    }),
  })
    .prefault({})
    .meta({ description: 'Runs that waited too long.' }),
  superseded: section({
    mode: ruleMode.default('on').meta({ description: RULE_MODE }),
    events: eventNames.default(['push', 'pull_request', 'pull_request_target']).meta({
      description: 'Events whose older runs a newer one replaces, or all.',
    }),
    protect: list(text(/^\S+$/, 'a glob of refs, such as release/*'), 'a list of globs of refs')
      .optional()
      .meta({
        description:
          'Globs of refs whose runs are never ended, and are parked for an hour at most. Default: the default branch and release/**.',
        examples: [['main', 'release/*']],
      }),
    sameWork: choice(['on', 'off']).default('on').meta({
      description: 'on: a newer run replaces an older one only if it has a job for each job of the older one.',
    }),
  })
    .prefault({})
    .meta({ description: 'Runs that a newer run of the same kind has replaced.' }),
  prioritizePullRequests: section({
    mode: ruleMode.default('on').meta({ description: RULE_MODE }),
    threshold: count(10_000, 'a whole number from 1 to 10000').default(5).meta({
      description: 'Waiting runs of pull requests above which queued push runs make way.',
    }),
    // oxlint-disable-next-line unicorn/no-thenable -- a key of the file, and never a function
    then: choice(['park', 'cancel']).default('park').meta({ description: 'park: cancelled now and run again later. cancel: cancelled.' }),
    count: choice(['pullRequests', 'runs']).default('pullRequests').meta({
      description: 'pullRequests: runs of one pull request, or of the forks of one author, count once. runs: each counts.',
    }),
  })
    .prefault({})
    .meta({ description: 'Pull requests before pushes.' }),
  reach: choice(['served', 'repository']).default('served').meta({
    description: 'served: runs with a queued job that a runner of the repository can take. repository: all runs of the repository.',
  }),
  /** An act is some 7 of the 900 points a minute that GitHub gives. https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api */
  writesPerMinute: count(
    120,
    'a whole number from 1 to 120: an act takes about 7 of the 900 points that GitHub gives a token in a minute, so more would meet its limit',
  )
    .default(60)
    .meta({ description: "Writes to GitHub's API per minute, at most." }),
  maxPerPass: count(100_000, 'a whole number from 1 to 100000').default(200).meta({ description: 'Acts of one scheduled pass, at most.' }),
});

const STEP_TIMEOUT = 'a duration from 1s to 1h, such as 90s or 5m';
const stepTimeout = duration(STEP_TIMEOUT, UNIT_MS.s, UNIT_MS.h)
  .optional()
  .meta({ examples: ['90s', '5m'] });

/** The file runward.yaml. */
export const fileSchema = section({
  mode: choice(['act', 'watch']).default('act').meta({ description: 'act: heal. watch: look, record and tell, and write nothing.' }),
  host: hostName.default('local').meta({
    description: 'Name of this computer, which owns the VMs; it names their task queues.',
  }),
  github: section({
    apiUrl: webAddress.optional().meta({ description: 'Address of the REST API. Default: derived from serverUrl.' }),
    serverUrl: webAddress.optional().meta({ description: 'Address that runners register at. Default: https://github.com.' }),
  })
    .prefault({})
    .meta({ description: 'Addresses of a GitHub Enterprise Server.' }),
  scopes: list(scopeSchema, 'a list of scopes, each with repo or org, and runners')
    .min(1, { error: 'at least one scope' })
    .optional()
    .meta({
      description:
        'Repositories and organisations with the runners to look after. May be left out where the environment names the one runner.',
    }),
  health: section({
    every: duration('a duration from 1m to 1h, such as 5m', UNIT_MS.m, UNIT_MS.h).prefault('5m').meta({
      description:
        'Time between two health checks of a scope, and two passes over its queue. Counts once `runward schedule apply`, or `runward up`, has run.',
    }),
  })
    .prefault({})
    .meta({ description: 'Health checks.' }),
  vm: section({
    autostart: choice(['wanted', 'always', 'never']).default('wanted').meta({
      description:
        'Whether a check starts a stopped VM. wanted: when a job waits for it, the host has booted since, or Runward itself has stopped it. A recovery asked for by a person always does.',
    }),
  })
    .prefault({})
    .meta({ description: 'Rules for virtual machines.' }),
  queue: queueSchema.prefault({}).meta({ description: 'Rules for the queue of workflow runs.' }),
  cache: section({
    maxAgeDays: cacheDays.default(7).meta({ description: 'Days before an entry of the actions cache is stale.' }),
  })
    .prefault({})
    .meta({ description: "The runner's actions cache." }),
  disk: section({
    usedPercent: count(100, 'a whole number from 1 to 100')
      .default(90)
      .meta({ description: 'From so much used space on, room is made between jobs, until 5 percent points less are used.' }),
    inodesPercent: count(100, 'a whole number from 1 to 100').default(90).meta({ description: 'The same for inodes.' }),
    floorMiB: positive('a number of MiB above 0')
      .default(512)
      .meta({ description: 'With less free space, and nothing left that may go, the runner is drained.' }),
    toolsDays: positive('a number of days above 0')
      .default(30)
      .meta({ description: "Days before a tool in the runner's tool cache counts as unused." }),
    dockerDays: positive('a number of days above 0').default(7).meta({
      description: "Days before Docker's stopped containers, unused networks and dangling images may go; volumes and tagged images stay.",
    }),
    workspacesDays: positive('a number of days above 0')
      .optional()
      .meta({
        description: 'Days before the workspace of a repository may be removed. Without it workspaces belong to the jobs, and stay.',
        examples: [30],
      }),
  })
    .prefault({})
    .meta({ description: "The disk of a runner's machine." }),
  package: section({
    mirror: mirrorAddress.optional().meta({
      description: "Folder on the web that holds packages of the runner under GitHub's names. Their SHA-256 comes from GitHub.",
      examples: ['https://mirror.example.com/runner'],
    }),
    file: packageFile.optional().meta({
      description: "A package of the runner on the host, under GitHub's name, instead of a download.",
      examples: ['/srv/actions-runner-linux-x64-2.337.0.tar.gz'],
    }),
    sha256: text(/^(?:sha256:)?[0-9a-fA-F]{64}$/, 'a SHA-256 of 64 hex digits')
      .transform((sum) => sum.replace('sha256:', '').toLowerCase())
      .optional()
      .meta({ description: 'SHA-256 of `file`, if GitHub knows none.' }),
  })
    .refine(({ mirror, file }) => mirror === undefined || file === undefined, { path: ['file'], error: 'either mirror or file, not both' })
    .refine(({ sha256, file }) => sha256 === undefined || file !== undefined, { path: ['sha256'], error: 'only with file' })
    .prefault({})
    .meta({ description: "Where the runner's package comes from that a recovery registers with. Default: GitHub." }),
  budgets: section({
    recoveries: section({
      max: count(LEDGER_CAPACITY, `a whole number from 1 to ${LEDGER_CAPACITY}`)
        .default(3)
        .meta({ description: 'Recoveries of one runner, at most.' }),
      per: duration('a duration from 1m to 30d, such as 6h', UNIT_MS.m, 30 * UNIT_MS.d)
        .prefault('6h')
        .meta({ description: 'The time that max counts in.' }),
    })
      .prefault({})
      .meta({
        description: 'How often a check may recover a runner. What a person asks for is counted and never refused.',
      }),
    breakerAfter: count(100, 'a whole number from 1 to 100').default(2).meta({
      description: 'Failures in a row after which a check leaves the runner to a person.',
    }),
  })
    .prefault({})
    .meta({ description: 'Limits on what is done without asking.' }),
  /** Temporal keeps no namespace for less than a day. */
  retention: duration('a duration from 1d to 3650d, such as 90d', UNIT_MS.d, 3_650 * UNIT_MS.d)
    .prefault('90d')
    .meta({ description: 'How long finished operations stay to be looked at.' }),
  recovery: section({
    timeouts: section({
      'time-sync': stepTimeout,
      'registration-token': stepTimeout,
      'config-cleanup': stepTimeout,
      reconfigure: stepTimeout,
      'start-service': stepTimeout,
      'verify-online': stepTimeout,
    })
      .prefault({})
      .meta({ description: 'Time limits of single steps. Default: those of the policy.' }),
  })
    .prefault({})
    .meta({ description: 'How a recovery proceeds.' }),
  alerts: section({
    webhook: section({
      url: receiverAddress.meta({ description: 'Where messages are POSTed to.', examples: ['https://alerts.example.com/runward'] }),
      secretFile: text(/^\P{Cc}+$/u, 'the path of the file that holds the secret, such as /etc/runward/webhook-secret').meta({
        description: 'File with the secret that messages are signed by: whsec_ and base64, as Standard Webhooks have it.',
        examples: ['/etc/runward/webhook-secret'],
      }),
    })
      .optional()
      .meta({ description: 'A signed JSON message to an address of yours.' }),
  })
    .prefault({})
    .meta({ description: 'How people are told of findings.' }),
}).meta({ title: 'runward.yaml', description: 'Configuration of Runward.' });

export type FileSettings = z.output<typeof fileSchema>;
export type RunnerSettings = z.output<typeof runnerSchema>;
export type Mode = FileSettings['mode'];
export type VmAutostart = FileSettings['vm']['autostart'];
export type DiskRules = FileSettings['disk'];
export type QueueRules = FileSettings['queue'];
export type StepTimeouts = FileSettings['recovery']['timeouts'];

/** The keys allowed at a path of the file, or `null` where the path leads to no mapping. */
export function keysAt(path: readonly PropertyKey[]): readonly string[] | null {
  let schema: unknown = fileSchema;
  for (const step of path) {
    const outer = unwrap(schema);
    if (outer instanceof z.ZodArray) {
      schema = outer.element;
    } else if (outer instanceof z.ZodObject) {
      schema = outer.shape[String(step)];
    }
  }
  const reached = unwrap(schema);
  return reached instanceof z.ZodObject ? Object.keys(reached.shape) : null;
}

function unwrap(schema: unknown): unknown {
  return schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault
    ? unwrap(schema.unwrap())
    : schema;
}
