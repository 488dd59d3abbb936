// The look at failed runs: what it asks GitHub for, and how much of logs it reads, for few and for many.

import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import type { FailuresInspected, Limited } from '../src/activities/contract.ts';
import { createFailureActivities } from '../src/activities/inspect-failures.ts';
import { NO_FAILURES, rememberInspected, type FailureMemory } from '../src/domain/damaged-run.ts';
import { DEFAULT_UPKEEP_POLICY } from '../src/domain/policy.ts';
import { Secret } from '../src/domain/secret.ts';
import { createGitHub } from '../src/github/github.ts';
import type { JobOptions } from '../src/sandbox/github/run.ts';
import { startGitHub, type SandboxGitHub } from '../src/sandbox/github/server.ts';
import type { Series } from './statistics.ts';

const SCOPE = 'acme/kernel';
const RUNNER = { runner: 'bench-1', directory: '/opt/actions-runner' };
const SIZES = [0, 20, 200] as const;

/** A build's log of 2 MB with its time stamps, whose script fails in its last step. */
const LOG = `##[group]Run make\n${'  CC      kernel/sched/core.o\n'.repeat(35_000)}##[error]Process completed with exit code 2.\n`;
const SCRIPT_FAILED = [{ level: 'failure' as const, message: 'Process completed with exit code 2.' }];

const MIXES = {
  'one in five on our runner': (n: number) => ({ runner: n % 5 === 0 ? RUNNER.runner : 'GitHub Actions 7', annotations: SCRIPT_FAILED }),
  'all on our runner': () => ({ runner: RUNNER.runner, annotations: SCRIPT_FAILED }),
  'all on our runner, annotations do not tell': () => ({ runner: RUNNER.runner, log: LOG }),
} as const satisfies Record<string, (n: number) => Partial<JobOptions>>;

/** Each size once: what is counted is the same every time. */
export async function failuresSection(): Promise<readonly Series[]> {
  const series: Series[] = [];
  for (const [mix, job] of Object.entries(MIXES)) {
    for (const size of SIZES) {
      series.push(...(await inspected(`${size} failed runs, ${mix}`, size, job)));
    }
  }
  return series;
}

async function inspected(what: string, size: number, job: (n: number) => Partial<JobOptions>): Promise<readonly Series[]> {
  const gitHub = await startGitHub({ repositories: [SCOPE] });
  gitHub.addRunner(SCOPE, { name: RUNNER.runner });
  for (let n = 0; n < size; n += 1) {
    gitHub.queueRun(SCOPE, { jobs: [{ state: 'completed', conclusion: 'failure', ...job(n) }] });
  }
  const passes = new Passes(gitHub);
  const first = await passes.next();
  const figures = [first];
  while (figures.at(-1)?.left !== 0) {
    figures.push(await passes.next());
  }
  const again = await passes.next();
  await gitHub.close();
  const most = (of: (figure: Figures) => number): number => Math.max(...figures.map(of));
  return [
    { name: `${what}: passes until all are looked at`, unit: 'count', values: [figures.length] },
    { name: `${what}: requests of the hour, in a pass at most`, unit: 'count', values: [most(({ paid }) => paid)] },
    { name: `${what}: logs, in a pass at most`, unit: 'MB', values: [most(({ logBytes }) => logBytes) / 1e6] },
    {
      name: `${what}: the pass after, requests of the hour, jobs and logs`,
      unit: 'count',
      values: [again.paid + again.jobs + again.logBytes],
    },
  ];
}

interface Figures {
  /** Requests that count against the hour's limit. */
  readonly paid: number;
  /** Requests for jobs, annotations and logs, whatever they cost. */
  readonly jobs: number;
  readonly logBytes: number;
  readonly left: number;
}

/** One worker's passes, which remember what was looked at. */
class Passes {
  readonly #gitHub: SandboxGitHub;
  readonly #activities: ReturnType<typeof createFailureActivities>;
  #memory: FailureMemory = NO_FAILURES;

  constructor(gitHub: SandboxGitHub) {
    this.#gitHub = gitHub;
    this.#activities = createFailureActivities(createGitHub({ baseUrl: gitHub.url, token: () => new Secret(gitHub.token) }));
  }

  async next(): Promise<Figures> {
    const before = this.#gitHub.requests.length;
    const environment = new MockActivityEnvironment({}, { client: this.#ledger(), logger: new DefaultLogger('ERROR') });
    const { failures: policy } = DEFAULT_UPKEEP_POLICY;
    const input = { scope: SCOPE, runners: [RUNNER], known: [], policy };
    const found = (await environment.run(this.#activities.inspectFailures.bind(this.#activities), input)) as FailuresInspected | Limited;
    if (found.kind !== 'inspected') {
      throw new Error(found.why);
    }
    this.#memory = rememberInspected(this.#memory, found.settled);
    return { ...this.#asked(before), ...figuresOf(found) };
  }

  #asked(before: number): Pick<Figures, 'paid' | 'jobs'> {
    const requests = this.#gitHub.requests.slice(before);
    return {
      paid: requests.filter(({ status }) => status !== 304).length,
      jobs: requests.filter(({ path }) => /\/jobs|\/annotations/.test(path)).length,
    };
  }

  /** Temporal as far as the memory goes. */
  #ledger(): Client {
    const describe = async () => {
      if (this.#memory.inspected.length === 0) {
        throw new WorkflowNotFoundError('none', 'ledger', undefined);
      }
      return { memo: { memory: this.#memory } };
    };
    return {
      withAbortSignal: <T>(_signal: AbortSignal, work: () => Promise<T>) => work(),
      workflow: { getHandle: () => ({ describe }) },
    } as unknown as Client;
  }
}

function figuresOf({ logBytes, left }: FailuresInspected): Pick<Figures, 'logBytes' | 'left'> {
  return { logBytes, left };
}
