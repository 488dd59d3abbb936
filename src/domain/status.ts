import type { Finding } from './finding.ts';
import { valueOrNull, type Reading } from './reading.ts';
import { describeOffset, isHealthy, type Look } from './recovery.ts';
import { type GitHubObservation, type GuestObservation, LEAST_FREE_BYTES, type MachineObservation, type RunnerTarget } from './runner.ts';

/** `down`: both sides or a sure one say that no job can run; `degraded`: something is wrong, but it works or may. */
export type Verdict = 'healthy' | 'degraded' | 'down' | 'unknown';

/** One runner in `status --json`; a value that could not be read is `null`, and a finding says why. */
export interface RunnerStatus {
  readonly name: string;
  readonly verdict: Verdict;
  readonly vm: { readonly name: string; readonly state: string | null };
  readonly github: {
    readonly id: number | null;
    readonly status: string | null;
    readonly busy: boolean | null;
    readonly labels: readonly string[] | null;
  };
  readonly service: { readonly unit: string | null; readonly state: string | null };
  readonly job: { readonly running: boolean | null };
  readonly clock: { readonly driftSeconds: number | null };
  readonly disk: { readonly usedPercent: number | null; readonly freeBytes: number | null };
  readonly cache: { readonly bytes: number | null; readonly entries: number | null; readonly health: 'ok' | 'damaged' | 'unknown' };
  readonly version: { readonly installed: string | null; readonly latest: string | null };
  readonly findings: readonly Finding[];
}

const DRIFT_THRESHOLD = { driftThresholdMs: 60_000 };

/** What a look at both sides says about a runner. */
export function runnerStatus(target: RunnerTarget, look: Look): RunnerStatus {
  const github = valueOrNull(look.github);
  const machine = valueOrNull(look.machine);
  const guest = machine === null ? null : valueOrNull(machine.guest);
  const findings = [...findGitHub(target, look.github), ...findMachine(target, look.machine), ...findContradiction(target, github, guest)];
  return {
    name: target.runner,
    verdict: verdictOf(look),
    vm: { name: target.machine, state: machine?.state ?? null },
    github: {
      id: github?.runner?.id ?? null,
      status: github === null ? null : (github.runner?.status ?? 'unregistered'),
      busy: github?.runner?.busy ?? null,
      labels: github?.runner?.labels ?? null,
    },
    service: { unit: guest?.service.unit ?? null, state: guest?.service.state ?? null },
    job: { running: guest === null ? null : guest.workers > 0 },
    clock: { driftSeconds: guest === null ? null : Math.round(guest.clockOffsetMs / 1_000) },
    disk: { usedPercent: guest?.disk.usedPercent ?? null, freeBytes: guest?.disk.freeBytes ?? null },
    cache: { bytes: guest?.cache?.bytes ?? null, entries: guest?.cache?.entries ?? null, health: 'unknown' },
    version: { installed: guest?.installedVersion ?? null, latest: null },
    findings,
  };
}

function verdictOf({ github, machine }: Look): Verdict {
  if (machine.known && ['stopped', 'suspended', 'missing', 'deleted'].includes(machine.value.state)) {
    return 'down';
  }
  if (!github.known || !machine.known || !machine.value.guest.known) {
    return 'unknown';
  }
  const guest = machine.value.guest.value;
  const word = github.value.runner?.status;
  if (word !== undefined && word !== 'online' && word !== 'offline') {
    return 'unknown';
  }
  if (isHealthy(github.value, guest, DRIFT_THRESHOLD)) {
    return 'healthy';
  }
  return github.value.runner?.status === 'online' || guest.workers > 0 ? 'degraded' : 'down';
}

function findGitHub({ runner, scope }: RunnerTarget, github: Reading<GitHubObservation>): Finding[] {
  if (!github.known) {
    return [
      finding(
        'github-unknown',
        'warning',
        `GitHub could not be asked about ${runner}`,
        github.why,
        'see what GitHub answered; nothing is changed while it is unknown',
      ),
    ];
  }
  const registered = github.value.runner;
  if (registered === null) {
    return [
      finding(
        'runner-unregistered',
        'critical',
        `${runner} is not registered at ${scope}`,
        'GitHub lists no runner of this name',
        `run \`runward recover --runner ${runner}\``,
      ),
    ];
  }
  if (registered.status === 'online') {
    return [];
  }
  return [
    finding(
      'runner-offline',
      'critical',
      `GitHub shows ${runner} ${registered.status}`,
      `runner id ${registered.id}`,
      `run \`runward recover --runner ${runner}\` unless its machine is stopped on purpose`,
    ),
  ];
}

function findMachine(target: RunnerTarget, machine: Reading<MachineObservation>): Finding[] {
  if (!machine.known) {
    return [
      finding(
        'machine-unknown',
        'warning',
        `machine ${target.machine} could not be asked`,
        machine.why,
        'see what its provider answered; nothing is changed while it is unknown',
      ),
    ];
  }
  const { state, guest } = machine.value;
  if (state !== 'running') {
    const advice =
      state === 'missing' || state === 'deleted'
        ? 'check its name in the configuration, or make it anew'
        : `run \`runward recover --runner ${target.runner}\`, or start it`;
    return [
      finding(
        `machine-${state.replaceAll(' ', '-')}`,
        'critical',
        `machine ${target.machine} is ${state}`,
        `provider's state: ${state}`,
        advice,
      ),
    ];
  }
  if (!guest.known) {
    return [
      finding(
        'guest-unreachable',
        'critical',
        `the guest of ${target.machine} does not answer`,
        guest.why,
        'restart the machine once its runners are idle',
      ),
    ];
  }
  return findGuest(target, guest.value);
}

function findGuest({ runner, machine, directory }: RunnerTarget, guest: GuestObservation): Finding[] {
  const findings: Finding[] = [];
  const recover = `run \`runward recover --runner ${runner}\``;
  if (guest.service.state !== 'active') {
    findings.push(
      finding(
        `service-${guest.service.state}`,
        'critical',
        `the service of ${runner} is ${guest.service.state}`,
        guest.service.unit ?? `no .service file in ${directory}`,
        recover,
      ),
    );
  }
  if (guest.registration === null) {
    findings.push(
      finding(
        'configuration-missing',
        'critical',
        `${runner} is not configured in ${machine}`,
        `no readable ${directory}/.runner`,
        recover,
      ),
    );
  }
  if (guest.missingProgram !== null) {
    findings.push(
      finding(
        'installation-broken',
        'critical',
        `the programs of ${runner} are broken: ${guest.missingProgram}`,
        `files in ${directory}`,
        `${recover}, which mends what a self-update has left; else unpack the runner's package over ${directory}`,
      ),
    );
  }
  if (guest.disk.freeBytes < LEAST_FREE_BYTES) {
    findings.push(
      finding(
        'disk-full',
        'critical',
        `the disk of ${machine} is full`,
        `${guest.disk.freeBytes} bytes free, ${guest.disk.usedPercent} % used`,
        'make room, such as by `docker system prune` or `journalctl --vacuum-size=100M` in the guest',
      ),
    );
  }
  if (guest.service.state === 'active' && guest.listeners === 0) {
    findings.push(
      finding(
        'listener-missing',
        'critical',
        `the service of ${runner} is active without a listener`,
        'no Runner.Listener process',
        recover,
      ),
    );
  }
  if (guest.listeners > 1) {
    findings.push(
      finding(
        'session-conflict',
        'critical',
        `${guest.listeners} listeners of ${runner} run at once`,
        'Runner.Listener processes',
        recover,
      ),
    );
  }
  if (Math.abs(guest.clockOffsetMs) >= DRIFT_THRESHOLD.driftThresholdMs) {
    findings.push(
      finding(
        'clock-drift',
        'critical',
        `the clock of ${machine} is ${describeOffset(guest.clockOffsetMs)}`,
        'guest compared with host',
        recover,
      ),
    );
  }
  return findings;
}

/** Why the queue's figures are missing, where they are. */
export function findQueue(scope: string, counts: Reading<unknown>): Finding[] {
  return counts.known
    ? []
    : [finding('queue-unknown', 'info', `the queue of ${scope} could not be counted`, counts.why, 'see what GitHub answered')];
}

/** Both sides are well by themselves, and do not mean the same registration. */
function findContradiction({ runner }: RunnerTarget, github: GitHubObservation | null, guest: GuestObservation | null): Finding[] {
  const onGitHub = github?.runner?.id;
  const inGuest = guest?.registration?.agentId;
  if (onGitHub === undefined || inGuest === undefined || onGitHub === inGuest) {
    return [];
  }
  return [
    finding(
      'registration-mismatch',
      'critical',
      `${runner} is configured under another registration than GitHub shows`,
      `GitHub: id ${onGitHub}, machine: id ${inGuest}`,
      `look for a second machine that uses this name; then run \`runward recover --runner ${runner}\``,
    ),
  ];
}

function finding(code: string, severity: Finding['severity'], summary: string, evidence: string, advice: string): Finding {
  return { code, severity, summary, evidence, advice };
}

/** The first line for people, such as "1 of 3 down". */
export function statusSentence(runners: readonly Pick<RunnerStatus, 'name' | 'verdict'>[]): string {
  const [only] = runners;
  if (only !== undefined && runners.length === 1) {
    return `${only.name} is ${only.verdict}`;
  }
  const parts = (['down', 'degraded', 'unknown'] as const).flatMap((verdict) => {
    const count = runners.filter((runner) => runner.verdict === verdict).length;
    return count === 0 ? [] : [`${count} of ${runners.length} ${verdict}`];
  });
  return parts.length === 0 ? `all ${runners.length} healthy` : parts.join(', ');
}
