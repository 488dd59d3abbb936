import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { queueListDocument, type QueueListDocument } from '../../src/cli/queue-list-document.ts';
import { queueListLines } from '../../src/cli/queue-list-text.ts';
import type { ScheduleStatus } from '../../src/cli/schedule-text.ts';
import type { ListedRun, QueueList } from '../../src/domain/queue/list.ts';
import { labelSetOf } from '../../src/domain/queue/run.ts';
import type { QueueRunner } from '../../src/domain/queue/takers.ts';
import { aRun, asking, DAY, HOUR, jobsOfRun, MINUTE } from '../kit/queue.ts';

const NOW = Date.parse('2026-11-24T03:02:00Z');
const BPF = asking(['self-hosted', 'bpf']);

beforeEach(() => {
  vi.stubEnv('TZ', 'UTC');
  return () => vi.unstubAllEnvs();
});

function aRunner(name: string, replaced: Partial<QueueRunner> = {}): QueueRunner {
  return { name, labels: labelSetOf(['self-hosted', 'linux', 'x64', 'bpf']), state: 'online', busy: false, isOurs: true, ...replaced };
}

type Told = Partial<Omit<ListedRun, 'outlook'>> & { readonly outlook?: Partial<ListedRun['outlook']> };

/** Queued for two hours, and stale in two more. */
function listed({ outlook, ...replaced }: Told = {}): ListedRun {
  return {
    run: 34_000_000_001,
    attempt: 1,
    workflow: 'CI',
    event: 'push',
    branch: 'main',
    pullRequests: [],
    queuedSince: new Date(NOW - 2 * HOUR).toISOString(),
    jobs: [BPF],
    moreLabelSets: 0,
    ...replaced,
    outlook: {
      action: 'cancel',
      code: 'stale',
      at: new Date(NOW + 2 * HOUR).toISOString(),
      inMaintenance: null,
      isOnlyPlanned: false,
      newer: null,
      pullRequests: null,
      detail: null,
      kept: null,
      ...outlook,
    },
  };
}

const SCHEDULE: ScheduleStatus = {
  exists: true,
  everySeconds: 300,
  paused: false,
  note: null,
  lastPassAt: null,
  lastPassId: null,
  nextPassAt: '2026-11-24T03:05:00Z',
};

function aDocument(replaced: Partial<QueueList> = {}, schedule: Partial<ScheduleStatus> = {}): QueueListDocument {
  const list: QueueList = {
    outcome: 'listed',
    scope: 'acme/kernel',
    observedAt: new Date(NOW).toISOString(),
    mode: 'act',
    rules: { stale: 'on', superseded: 'on', prioritizePullRequests: 'on', paths: 'off' },
    serverUrl: 'https://github.com',
    queued: replaced.runs?.length ?? 0,
    runs: [],
    runners: [aRunner('assay-bpf-runner', { busy: true })],
    areAll: true,
    parked: [],
    notes: [],
    ...replaced,
  };
  return queueListDocument(list, { ...SCHEDULE, ...schedule });
}

function linesOf(replaced: Partial<QueueList>, width?: number, schedule: Partial<ScheduleStatus> = {}): readonly string[] {
  return queueListLines(aDocument(replaced, schedule), NOW, width);
}

/** The last column of the only run. */
function actionOf(
  outlook: Partial<ListedRun['outlook']>,
  replaced: Partial<QueueList> = {},
  schedule: Partial<ScheduleStatus> = {},
): string {
  const { code = 'stale', action = 'none' } = outlook;
  const told = { at: null, ...outlook, code, action };
  const row = linesOf({ runs: [listed({ outlook: told })], ...replaced }, undefined, schedule)[3];
  return row?.split('(busy)').at(-1)?.trim() ?? '';
}

describe('the list', () => {
  test('has a row for each run in a pipe', () => {
    const runs = [
      listed(),
      listed({
        run: 34_000_000_002,
        workflow: 'Nightly',
        event: 'pull_request',
        branch: 'patch-1',
        pullRequests: [12],
        queuedSince: new Date(NOW - 5 * MINUTE).toISOString(),
        jobs: [asking(['self-hosted', 'gpu'], 2), asking(['ubuntu-latest'])],
      }),
    ];
    expect(linesOf({ runs, queued: 14 })).toEqual([
      '14 runs queued in acme/kernel:',
      '',
      expect.stringMatching(/^RUN +QUEUED +WORKFLOW +BRANCH +EVENT +WAITS FOR +ACTION$/),
      expect.stringMatching(
        /^34000000001 +2 h +CI +main +push +\[bpf, self-hosted\]: assay-bpf-runner \(busy\) +stale at 05:02: would be cancelled$/,
      ),
      expect.stringMatching(
        /^34000000002 +5 min +Nightly +#12 patch-1 +pull_request +2 × \[gpu, self-hosted\]: nobody \(no runner has gpu\); \[ubuntu-latest\]: GitHub's own machines +stale at /,
      ),
      '… and 12 more: `--max N` lists more of them',
      '',
      'Queue maintenance every 5 min, next at 03:05.',
    ]);
  });

  test('says so where nothing is queued', () => {
    expect(linesOf({})).toEqual(['No run of acme/kernel is queued.', '', 'Queue maintenance every 5 min, next at 03:05.']);
  });

  test('fits a terminal of 80 columns, and loses nothing but parts of names', () => {
    const runs = [
      listed({ workflow: 'w'.repeat(60), branch: 'b'.repeat(200), event: 'pull_request_target', pullRequests: [4711] }),
      listed({ run: 34_000_000_002, outlook: { kept: { code: 'protected', newer: 34_000_000_001 } } }),
    ];
    const lines = linesOf({ runs, notes: ['n'.repeat(40), 'a note of many words '.repeat(10)] }, 80);
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    expect(lines[2]).toMatch(/^RUN +QUEUED +WORKFLOW +BRANCH +EVENT$/);
    expect(lines[3]).toMatch(/^34000000001 +\S+ \S+ +w+…w+ +#4711 b+…b+ +pull_request_target$/);
    expect(lines.slice(4, 6)).toEqual(['  [bpf, self-hosted]: assay-bpf-runner (busy)', '  stale at 05:02: would be cancelled']);
    expect(lines[8]).toBe('  stale at 05:02: would be cancelled; protected from newer run 34000000001');
  });

  test('counts label sets that are too many to be shown below a run', () => {
    const jobs = ['a', 'b', 'c', 'd', 'e'].map((label) => asking([label, 'self-hosted']));
    expect(linesOf({ runs: [listed({ jobs, moreLabelSets: 7 })] })[3]).toContain(
      'e, self-hosted]: nobody (no runner has e); and 7 more sets of labels ',
    );
    expect(linesOf({ runs: [listed({ jobs })] }, 80).slice(4, 8)).toEqual([
      '  [a, self-hosted]: nobody (no runner has a)',
      '  [b, self-hosted]: nobody (no runner has b)',
      '  [c, self-hosted]: nobody (no runner has c)',
      '  and 2 more sets of labels',
    ]);
  });

  test('lists deferred runs below', () => {
    const run = aRun({ id: 21, workflow: 'Nightly' });
    const parked = [
      { run, jobs: jobsOfRun(run), parkedAt: NOW - DAY, times: 1, isCancelled: true, evidence: '6 runs wait', by: 'queue/1' },
    ];
    expect(linesOf({ parked }).join('\n')).toMatch(/\n\n1 run of acme\/kernel waits to be re-run:\nRUN .*\n21 +Nightly .* 6 runs wait$/);
  });

  test.each<[string, Partial<QueueList>, Partial<ScheduleStatus>]>([
    ['Queue maintenance has no schedule: make it with `runward schedule apply --scope acme/kernel`.', {}, { exists: false }],
    [
      'Queue maintenance is paused (new rack): go on with `runward schedule resume --scope acme/kernel`.',
      {},
      { paused: true, note: 'new rack', nextPassAt: null },
    ],
    ['Queue maintenance every 5 min, next at 03:05. Watch mode: it changes nothing.', { mode: 'watch' }, {}],
    ['Queue maintenance every 5 min, next at 2026-11-25 00:10.', {}, { nextPassAt: '2026-11-25T00:10:00Z' }],
  ])('says when maintenance is: %s', (line, replaced, schedule) => {
    expect(linesOf(replaced, undefined, schedule)).toContain(line);
  });
});

test('the example in the documents is what a terminal of 80 columns shows', () => {
  const since = (minutes: number) => new Date(NOW - minutes * MINUTE).toISOString();
  const bpf = asking(['self-hosted', 'bpf-lsm']);
  const waits = { action: 'none', code: 'waits', at: null } as const;
  const runs = [
    listed({ branch: 'topic', queuedSince: since(300), outlook: { at: '2026-11-24T02:02:00Z', inMaintenance: 1 } }),
    listed({
      run: 34_000_000_002,
      outlook: { ...waits, detail: 'never stale, since main is protected', kept: { code: 'protected', newer: 34_000_000_003 } },
    }),
    listed({ run: 34_000_000_003, branch: 'patch', queuedSince: since(90), outlook: { at: '2026-11-24T05:32:00Z' } }),
    listed({
      run: 34_000_000_004,
      workflow: 'Bench',
      event: 'pull_request',
      branch: 'topic-2',
      pullRequests: [12],
      queuedSince: since(5),
      outlook: { ...waits, code: 'out-of-reach' },
    }),
  ].map((run, index) => ({ ...run, jobs: [index < 3 ? bpf : asking(['self-hosted', 'gpu'], 2)] }));
  const runners = [aRunner('builder', { labels: labelSetOf(['self-hosted', 'bpf-lsm']), busy: true })];
  const document = readFileSync(join(import.meta.dirname, '../../docs/queue.md'), 'utf8');
  expect(document).toContain(`$ runward queue list\n${linesOf({ scope: 'octo-org/widgets', runs, runners }, 80).join('\n')}\n`);
});

describe('who could take a job', () => {
  test.each<[string, Partial<QueueList>]>([
    ['assay-bpf-runner (busy)', {}],
    [
      'free (online), off (offline), 1 more',
      { runners: [aRunner('gone', { state: 'unregistered' }), aRunner('off', { state: 'offline' }), aRunner('free')] },
    ],
    ['gone (not registered)', { runners: [aRunner('gone', { state: 'unregistered' })] }],
    ['nobody (no runner has bpf, nor self-hosted)', { runners: [] }],
    ['nobody (no runner has all of them)', { runners: [aRunner('one', { labels: ['bpf'] }), aRunner('two', { labels: ['self-hosted'] })] }],
    ['unknown', { runners: [], areAll: false }],
  ])('is %s', (expected, replaced) => {
    expect(linesOf({ runs: [listed()], ...replaced }).join('\n')).toContain(`[bpf, self-hosted]: ${expected}  `);
  });

  test('is not known where the jobs are not', () => {
    const run = listed({ jobs: null, outlook: { code: 'unknown', action: 'none', at: null } });
    expect(linesOf({ runs: [run] })[3]).toMatch(/push +\? +nothing: its jobs could not be read$/);
  });
});

describe('what would be done', () => {
  const due = { action: 'cancel', inMaintenance: 1 } as const;

  test.each<[string, Partial<ListedRun['outlook']>]>([
    ['stale since 02:02: to be cancelled at 03:05', { ...due, code: 'stale', at: '2026-11-24T02:02:00Z' }],
    ['stale since 2026-11-23 22:02: to be cancelled at 03:10', { ...due, at: '2026-11-23T22:02:00Z', inMaintenance: 2 }],
    [
      'stale since 02:02: would be cancelled, but its rule only plans',
      { action: 'cancel', at: '2026-11-24T02:02:00Z', isOnlyPlanned: true },
    ],
    ['superseded by run 123: to be cancelled at 03:05', { ...due, code: 'superseded', newer: 123 }],
    ['behind 6 pull requests: to be deferred at 03:05', { ...due, action: 'park', code: 'prioritizePullRequests', pullRequests: 6 }],
    ['has no job: to be quarantined at 03:05', { ...due, action: 'quarantine', code: 'no-jobs' }],
    ['quarantined until 03:40: it refuses', { code: 'quarantined', at: '2026-11-24T03:40:00Z', detail: 'it refuses' }],
    ['being deferred: its cancellation is on its way', { code: 'parking' }],
    ['nothing: 1 of its 3 jobs has started', { code: 'started', detail: '1 of its 3 jobs has started' }],
    ['nothing: 1 of its 3 jobs is held', { code: 'held', detail: '1 of its 3 jobs is held' }],
    ['nothing: no runner of the repository serves it', { code: 'out-of-reach' }],
    ['nothing: waits for a runner', { code: 'waits' }],
    ['nothing: waits for a runner; never stale, since v1 is a tag', { code: 'waits', detail: 'never stale, since v1 is a tag' }],
    ['nothing: waits for a runner; protected from newer run 9', { code: 'waits', kept: { code: 'protected', newer: 9 } }],
    ['nothing: waits for a runner; tag: protected from newer run 9', { code: 'waits', kept: { code: 'tag', newer: 9 } }],
    [
      'nothing: waits for a runner; not deferred: it keeps its place',
      { code: 'waits', kept: { code: 'not-parked', detail: 'it keeps its place' } },
    ],
  ])('%s', (expected, outlook) => {
    expect(actionOf(outlook)).toBe(expected);
  });

  test.each<[string, Partial<QueueList>, Partial<ScheduleStatus>]>([
    ['it only watches', { mode: 'watch' }, {}],
    ['it is paused', {}, { paused: true, nextPassAt: null }],
    ['it has no schedule', {}, { exists: false, nextPassAt: null, everySeconds: null }],
  ])('by maintenance has no time where %s', (_why, replaced, schedule) => {
    expect(actionOf({ ...due, code: 'superseded', newer: 123 }, replaced, schedule)).toBe('superseded by run 123: would be cancelled');
  });
});

test('the document has addresses, times, codes, and the runners of each job', () => {
  const { runs, more, parked } = aDocument({
    queued: 3,
    runs: [listed({ jobs: [asking(['self-hosted', 'gpu'], 2), BPF] })],
    parked: [
      { run: aRun({ id: 21 }), jobs: jobsOfRun(aRun({ id: 21 })), parkedAt: NOW, times: 1, isCancelled: true, evidence: '', by: '' },
    ],
  });
  expect(more).toBe(2);
  expect(parked).toMatchObject([{ run: 21, url: 'https://github.com/acme/kernel/actions/runs/21' }]);
  expect(runs).toMatchObject([
    {
      run: 34_000_000_001,
      url: 'https://github.com/acme/kernel/actions/runs/34000000001',
      queuedSince: '2026-11-24T01:02:00.000Z',
      queuedSeconds: 7_200,
      jobs: [
        { labels: ['gpu', 'self-hosted'], count: 2, takers: 'nobody', runners: [], missingLabels: ['gpu'] },
        {
          labels: ['bpf', 'self-hosted'],
          count: 1,
          takers: 'runners',
          runners: [{ name: 'assay-bpf-runner', state: 'online', busy: true }],
        },
      ],
      maintenance: { action: 'cancel', code: 'stale', at: '2026-11-24T05:02:00.000Z', inMaintenance: null },
    },
  ]);
});
