// Depth 3 with one real guest: `runward up` looks after a runner in a real Linux, while by seed its processes are killed and stopped, the guest
// breaks, people do what they do, and jobs run. In real time, by hand: `npm run chaos -- --guest --seed 1 --hours 2`.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import provideTemporalCli from '../../../scripts/launcher/temporal-cli.ts';
import { startGitHub, type SandboxGitHub } from '../../../src/sandbox/github/server.ts';
import { startGuest, type Guest } from '../../kit/guest/index.ts';
import { runnerPackage } from '../../kit/guest/package.ts';
import { run, start, type Started } from '../../kit/product.ts';
import { INVARIANTS, type InvariantName } from '../invariants.ts';
import { HOUR, MINUTE, SECOND } from '../world/time.ts';

const SCOPE = 'acme/kernel';
const RUNNER = 'r1';
const LABEL = 'bpf-lsm';
/** Between two events. */
const QUIET_SECONDS = { min: 5, max: 150 } as const;
/** After the last event all has time to become well: a check comes each minute, and two readings are two minutes apart. */
const CALM_MS = 40 * MINUTE;
const LOOK_EVERY_MS = 2 * SECOND;

/** What happens, how often, and whether a job that runs then may be cut by it. */
const EVENTS = {
  'a job waits': { weight: 10, cuts: false },
  'the service is stopped': { weight: 2, cuts: true },
  'the listener is killed': { weight: 2, cuts: true },
  'the listener hangs': { weight: 2, cuts: false },
  'GitHub forgets the registration': { weight: 1, cuts: true },
  'the clock is two hours off': { weight: 1, cuts: false },
  'the guest reboots': { weight: 1, cuts: true },
  'the guest loses power': { weight: 1, cuts: true },
  'the guest hangs for a minute': { weight: 2, cuts: false },
  'runward up is killed': { weight: 2, cuts: false },
  'runward up stands still for a minute': { weight: 2, cuts: false },
  "Temporal's server is killed": { weight: 1, cuts: false },
  "Temporal's server stands still for a minute": { weight: 2, cuts: false },
  'runward check': { weight: 2, cuts: false },
  'runward recover': { weight: 2, cuts: false },
  'runward runner drain': { weight: 2, cuts: false },
  'runward runner resume': { weight: 2, cuts: false },
} as const satisfies Record<string, { readonly weight: number; readonly cuts: boolean }>;
type EventName = keyof typeof EVENTS;

interface Step {
  readonly afterMs: number;
  readonly event: EventName;
  readonly jobSeconds: number;
}

/** The steps of a seed, as many as fit into the hours. */
function stepsOf(seed: number, hours: number): readonly Step[] {
  const weighted = Object.entries(EVENTS).map(([event, { weight }]) => ({ weight, arbitrary: fc.constant(event as EventName) }));
  const step: fc.Arbitrary<Step> = fc.record({
    afterMs: fc.integer(QUIET_SECONDS).map((seconds) => seconds * SECOND),
    event: fc.oneof(...weighted),
    jobSeconds: fc.integer({ min: 1, max: 90 }),
  });
  const most = Math.ceil((hours * HOUR) / (QUIET_SECONDS.min * SECOND));
  const [steps = []] = fc.sample(fc.array(step, { minLength: most, maxLength: most }), { seed, numRuns: 1 });
  const fitting: Step[] = [];
  for (let [index, leftMs] = [0, hours * HOUR]; index < steps.length; index += 1) {
    const next = steps[index] as Step;
    leftMs -= next.afterMs;
    if (leftMs < 0) break;
    fitting.push(next);
  }
  return fitting;
}

interface Wanted {
  readonly seed: number;
  readonly hours: number;
}

/** Answers with the exit code. */
export async function playInGuest({ seed, hours }: Wanted): Promise<number> {
  provideTemporalCli();
  await using played = await Play.begin();
  const broken = await played.run(stepsOf(seed, hours));
  console.log(broken ?? 'All invariants held.');
  return broken === null ? 0 : 1;
}

/** A job that was queued, and whether something that cuts jobs has happened while it ran. */
interface Queued {
  readonly run: number;
  mayBeCut: boolean;
}

class Play implements AsyncDisposable {
  readonly #github: SandboxGitHub;
  readonly #guest: Guest;
  readonly #unit: string;
  readonly #home: string;
  readonly #variables: Readonly<Record<string, string>>;
  readonly #jobs: Queued[] = [];
  readonly #begunAt = Date.now();
  #up: Started;
  #isWishedDrained = false;

  private constructor(parts: { github: SandboxGitHub; guest: Guest; unit: string; home: string; variables: Record<string, string> }) {
    this.#github = parts.github;
    this.#guest = parts.guest;
    this.#unit = parts.unit;
    this.#home = parts.home;
    this.#variables = parts.variables;
    this.#up = start(['up'], this.#variables);
  }

  static async begin(): Promise<Play> {
    const home = mkdtempSync(join(tmpdir(), 'runward-chaos-'));
    const github = await startGitHub({ repositories: [SCOPE], pollMs: 1_000, offlineAfterMs: 20_000 });
    const guest = await startGuest({ github });
    const { unit } = await guest.installRunner({ scope: SCOPE, name: RUNNER, labels: [LABEL] });
    await guest.keepPackage(runnerPackage({ version: github.newestRunnerVersion }));
    const file = join(home, 'runward.yaml');
    writeFileSync(file, 'budgets: { recoveries: { max: 40 } }\nhealth: { every: 1m }\n');
    const token = { REPO: SCOPE, GH_TOKEN: github.token, RUNNER_NAME: RUNNER, RUNNER_LABELS: LABEL };
    const variables = { ...guest.env, ...token, RUNWARD_CONFIG: file, RUNWARD_HOME: home };
    const play = new Play({ github, guest, unit, home, variables });
    await play.#up.says(/looks after 1 runner/);
    return play;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#up.kill('SIGCONT');
    this.#up.kill('SIGTERM');
    await this.#up.ended;
    await this.#guest.close();
    await this.#github.close();
    rmSync(this.#home, { recursive: true, force: true });
  }

  /** What was broken, in a sentence; `null` if nothing was. */
  async run(steps: readonly Step[]): Promise<string | null> {
    for (const { afterMs, event, jobSeconds } of steps) {
      const broken = await this.#pass(afterMs, () => false);
      if (broken !== null) return broken;
      this.#tell(event);
      if (EVENTS[event].cuts) for (const job of this.#jobs.filter(({ run: id }) => this.#isRunning(id))) job.mayBeCut = true;
      await this.#happens(event, jobSeconds);
    }
    this.#tell('calm');
    this.#isWishedDrained = false;
    await this.#command(['runner', 'resume', '--runner', RUNNER, '--wait', '10m']);
    const broken = await this.#pass(CALM_MS, () => this.#isWell());
    return broken ?? ((await this.#isWell()) ? null : sentence('not-online', `${RUNNER} is not online, or not all of its jobs have ended`));
  }

  async #happens(event: EventName, jobSeconds: number): Promise<void> {
    const guest = this.#guest;
    switch (event) {
      case 'a job waits':
        this.#jobs.push({
          run: this.#github.queueRun(SCOPE, { jobs: [{ name: 'build', labels: ['self-hosted', LABEL], seconds: jobSeconds }] }),
          mayBeCut: false,
        });
        break;
      case 'the service is stopped':
        await guest.exec(`systemctl stop ${this.#unit}`);
        break;
      case 'the listener is killed':
        await guest.exec('pkill -KILL -x Runner.Listener');
        break;
      case 'the listener hangs':
        await guest.exec('pkill -STOP -x Runner.Listener');
        break;
      case 'GitHub forgets the registration':
        if (this.#github.runners(SCOPE).some(({ name }) => name === RUNNER)) this.#github.removeRunner(SCOPE, RUNNER);
        break;
      case 'the clock is two hours off':
        await guest.exec(`date --set @$(( $(date +%s) + 7200 ))`);
        break;
      case 'the guest reboots':
        await guest.reboot().catch(() => {});
        break;
      case 'the guest loses power':
        await guest.powerCut().catch(() => {});
        await guest.start();
        break;
      case 'the guest hangs for a minute':
        await guest.freeze();
        await sleep(MINUTE);
        await guest.thaw();
        break;
      case 'runward up is killed':
        this.#up.kill('SIGKILL');
        await this.#up.ended;
        this.#up = start(['up'], this.#variables);
        break;
      case 'runward up stands still for a minute':
        this.#up.kill('SIGSTOP');
        await sleep(MINUTE);
        this.#up.kill('SIGCONT');
        break;
      case "Temporal's server is killed":
        this.#signalServer('SIGKILL');
        await this.#up.ended;
        this.#up = start(['up'], this.#variables);
        break;
      case "Temporal's server stands still for a minute":
        this.#signalServer('SIGSTOP');
        await sleep(MINUTE);
        this.#signalServer('SIGCONT');
        break;
      case 'runward check':
        void this.#command(['check']);
        break;
      case 'runward recover':
        void this.#command(['recover', '--runner', RUNNER]);
        break;
      case 'runward runner drain':
        this.#isWishedDrained = true;
        void this.#command(['runner', 'drain', '--runner', RUNNER]);
        break;
      case 'runward runner resume':
        this.#isWishedDrained = false;
        void this.#command(['runner', 'resume', '--runner', RUNNER]);
        break;
    }
  }

  /** Of `up`, in a process group of its own. */
  #signalServer(signal: NodeJS.Signals): void {
    const pid = Number(readFileSync(join(this.#home, 'temporal.pid'), 'utf8'));
    process.kill(-pid, signal);
  }

  async #command(words: readonly string[]): Promise<void> {
    const { exitCode, stdout, stderr } = await run(words, this.#variables);
    const [first = ''] = `${stdout}${stderr}`.split('\n');
    this.#tell(`runward ${words.join(' ')}: exit code ${exitCode}: ${first}`);
  }

  /** Time passes, and jobs are looked at, until it has or something is so. */
  async #pass(ms: number, isEnough: () => boolean | Promise<boolean>): Promise<string | null> {
    for (const end = Date.now() + ms; Date.now() < end && !(await isEnough()); await sleep(LOOK_EVERY_MS)) {
      for (const { run: id, mayBeCut } of this.#jobs) {
        const { conclusion } = this.#github.run(id);
        if (conclusion !== null && conclusion !== 'success' && !mayBeCut)
          return sentence('job-disturbed', `the job of run ${id} has ended as ${conclusion}`);
      }
    }
    return null;
  }

  #isRunning(id: number): boolean {
    return this.#github.run(id).jobs.some(({ state }) => state === 'in_progress');
  }

  async #isWell(): Promise<boolean> {
    const isOnline = this.#github.runners(SCOPE).some(({ name, status }) => name === RUNNER && status === 'online');
    const areEnded = this.#jobs.every(({ run: id, mayBeCut }) => mayBeCut || this.#github.run(id).conclusion !== null);
    return isOnline && areEnded && !this.#isWishedDrained;
  }

  #tell(what: string): void {
    const seconds = Math.round((Date.now() - this.#begunAt) / SECOND);
    console.log(`${String(Math.floor(seconds / 60)).padStart(3)}:${String(seconds % 60).padStart(2, '0')}  ${what}`);
  }
}

function sentence(invariant: InvariantName, what: string): string {
  return `Broken: ${what}. (${invariant}: ${INVARIANTS[invariant]})`;
}
