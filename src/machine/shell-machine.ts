// The machine port by shell: guest scripts under the guest's own fence, over any transport.

import { randomUUID } from 'node:crypto';
import { open } from 'node:fs/promises';
import { z } from 'zod';
import type { CacheDamage, CacheListed, CacheRemoved, CacheWanted } from '../domain/cache.ts';
import { REMEMBERED_LENGTH } from '../domain/cordon.ts';
import { readServiceLog } from '../domain/log-signs.ts';
import type { PackageStored, PackageWanted } from '../domain/package.ts';
import { lineOf, linesOf as plainLinesOf, nameOf } from '../domain/plain.ts';
import { type Reading, known, unknown } from '../domain/reading.ts';
import { bytesText, type RoomMade, type RoomWanted, type Workspace } from '../domain/room.ts';
import {
  type DrainMark,
  type ForeignCleaner,
  type GuestObservation,
  LEAST_FREE_BYTES,
  type MachineObservation,
  type MachineState,
  type RunnerTarget,
} from '../domain/runner.ts';
import type { Secret } from '../domain/secret.ts';
import * as guest from './guest-scripts.ts';
import {
  type Act,
  type ActRefusal,
  type Archive,
  type CallContext,
  CallGivenUp,
  type ClockSynced,
  type Configured,
  type Discarded,
  type FenceTaken,
  type Heard,
  type LetGo,
  MachineError,
  type MachineErrorKind,
  type MachinePort,
  type MachineRestarted,
  type MarkedDrained,
  type NotPaused,
  type Paused,
  type PauseFor,
  type PauseWanted,
  type Restored,
  type ServiceStarted,
  type SetAside,
  type Stopped,
  type Stopping,
  type UnmarkedDrained,
  type WaitsForEnd,
} from './port.ts';
import { evidenceOf } from './text.ts';
import type { Transport } from './transport.ts';

export interface ShellMachineTiming {
  /** A look, with the login and what it waits for. */
  readonly lookMs: number;
  /** How long the script of a look may take in the guest. */
  readonly lookSeconds: number;
  /** The same for one that walks over all that a runner holds. */
  readonly walkMs: number;
  readonly walkSeconds: number;
  /** Taking the fence, or cancelling an act (which has 5 s to end). */
  readonly shortMs: number;
  /** How much longer than its act a call may take: login, the wait for the guest's lock, the end of the act. */
  readonly slackMs: number;
  /** How long a started service must live with one listener. */
  readonly settleSeconds: number;
  /** How long a started service may take until then. */
  readonly startSeconds: number;
  /** How long a time server may take to answer. */
  readonly ntpSeconds: number;
  /** How long the actions cache may be counted. */
  readonly cacheSeconds: number;
  /** After which the guest lets a paused runner go by itself: GitHub loses patience with a listener only after minutes. */
  readonly pauseSeconds: number;
}

const TIMING: ShellMachineTiming = {
  lookMs: 45_000,
  lookSeconds: 25,
  walkMs: 60_000,
  walkSeconds: 50,
  shortMs: 45_000,
  slackMs: 60_000,
  settleSeconds: 5,
  startSeconds: 60,
  ntpSeconds: 20,
  cacheSeconds: 3,
  pauseSeconds: 120,
};

/** Steps of one operation follow each other closely: the end of one shows that the machine ran a moment ago. */
const TRUST_RUNNING_MS = 5_000;

/** Errors that say nothing about the guest. */
const ABOUT_THE_PROVIDER: ReadonlySet<MachineErrorKind> = new Set(['tool-missing', 'provider-unavailable', 'provider-hangs']);

const KEY = /^[A-Za-z0-9._:-]{1,120}$/;

export class ShellMachine implements MachinePort {
  readonly #transport: Transport;
  readonly #timing: ShellMachineTiming;

  constructor(transport: Transport, timing: Partial<ShellMachineTiming> = {}) {
    this.#transport = transport;
    this.#timing = { ...TIMING, ...timing };
  }

  state(machine: string, call: CallContext): Promise<MachineState> {
    return this.#transport.state(machine, call);
  }

  states(machines: readonly string[], call: CallContext): Promise<ReadonlyMap<string, MachineState>> {
    return this.#transport.states(machines, call);
  }

  start(machine: string, call: CallContext): Promise<void> {
    return this.#transport.start(machine, call);
  }

  restart(machine: string, mayStop: () => Promise<boolean>, call: CallContext): Promise<MachineRestarted> {
    return this.#transport.restart(machine, mayStop, call);
  }

  async observe(target: RunnerTarget, call: CallContext, told?: MachineState): Promise<MachineObservation> {
    const observedAt = Date.now();
    const state = told ?? (await this.#transport.state(target.machine, call));
    if (state !== 'running') return { observedAt, state, guest: unknown(`${target.machine} is ${state}`) };
    return withinLength({ observedAt, state, guest: await this.#look(target, call) });
  }

  async takeFence(
    { machine, directory }: RunnerTarget,
    holder: string,
    { isRecovery }: { readonly isRecovery: boolean },
    call: CallContext,
  ): Promise<FenceTaken> {
    const printable = holder.replace(/[^ -~]/g, '?').slice(0, 200);
    const request = guest.takeFence(printable, isRecovery ? directory : '');
    const { answer } = await this.#drive('take the fence', machine, request, this.#timing.shortMs, call);
    return parsed(FENCE_TAKEN, answer, 'take the fence');
  }

  async pause(target: RunnerTarget, act: Act, wanted: PauseWanted, call: CallContext): Promise<Paused | ActRefusal> {
    const parameters = { ...pauseParameters(wanted), pause_seconds: String(this.#timing.pauseSeconds) };
    const ended = await this.#act('pause', target, act, parameters, call);
    return ended.kind === 'ended' ? parsed(PAUSED, ended.output, 'pause') : ended;
  }

  async letGo(target: RunnerTarget, act: Act, purpose: PauseFor, call: CallContext): Promise<LetGo | ActRefusal> {
    const ended = await this.#act('let-go', target, act, { purpose }, call);
    return ended.kind === 'ended' ? parsed(LET_GO, ended.output, 'let-go') : ended;
  }

  async syncClock(
    target: RunnerTarget,
    act: Act,
    stopping: Stopping,
    call: CallContext,
  ): Promise<ClockSynced | Heard | NotPaused | ActRefusal> {
    const parameters = { ...stoppingParameters(stopping), host_ms: String(Date.now()), ntp_seconds: String(this.#timing.ntpSeconds) };
    const ended = await this.#act('sync-clock', target, act, parameters, call);
    if (ended.kind !== 'ended') return ended;
    const answer = parsed(z.union([CLOCK_SYNCED, STAYS]), ended.output, 'sync-clock');
    return answer.kind === 'synced' ? { ...answer, offsetMs: ended.clockOffsetMs } : answer;
  }

  async setConfigurationAside(
    target: RunnerTarget,
    act: Act,
    stopping: Stopping,
    call: CallContext,
  ): Promise<SetAside | Heard | NotPaused | ActRefusal> {
    const ended = await this.#act('set-aside', target, act, stoppingParameters(stopping), call);
    return ended.kind === 'ended' ? parsed(z.union([SET_ASIDE, STAYS]), ended.output, 'set-aside') : ended;
  }

  async configure(
    target: RunnerTarget,
    act: Act,
    token: Secret,
    call: CallContext,
    labels: readonly string[] = target.labels,
  ): Promise<Configured | ActRefusal> {
    const parameters = { labels: labels.join(','), group: target.group ?? '' };
    const ended = await this.#act('configure', target, act, parameters, call, token.reveal());
    return ended.kind === 'ended' ? parsed(CONFIGURED, ended.output, 'configure') : ended;
  }

  async startService(target: RunnerTarget, act: Act, call: CallContext): Promise<ServiceStarted | NotPaused | ActRefusal> {
    const ended = await this.#act('start-service', target, act, this.#patience(), call);
    return ended.kind === 'ended' ? parsed(z.union([SERVICE_STARTED, NOT_PAUSED]), ended.output, 'start-service') : ended;
  }

  async restartService(
    target: RunnerTarget,
    act: Act,
    stopping: Stopping,
    call: CallContext,
  ): Promise<ServiceStarted | Heard | NotPaused | ActRefusal> {
    const ended = await this.#act('restart-service', target, act, { ...this.#patience(), ...stoppingParameters(stopping) }, call);
    return ended.kind === 'ended' ? parsed(z.union([SERVICE_STARTED, STAYS]), ended.output, 'restart-service') : ended;
  }

  async restoreConfiguration(
    target: RunnerTarget,
    act: Act,
    stopping: Stopping,
    call: CallContext,
  ): Promise<Restored | Heard | NotPaused | ActRefusal> {
    const ended = await this.#act('restore', target, act, stoppingParameters(stopping), call);
    return ended.kind === 'ended' ? parsed(z.union([RESTORED, STAYS]), ended.output, 'restore') : ended;
  }

  async discardAside(target: RunnerTarget, act: Act, call: CallContext): Promise<Discarded | ActRefusal> {
    const ended = await this.#act('discard', target, act, {}, call);
    return ended.kind === 'ended' ? parsed(DISCARDED, ended.output, 'discard') : ended;
  }

  async markDrained(
    target: RunnerTarget,
    act: Act,
    { by, reason, labels }: Omit<DrainMark, 'since'>,
    call: CallContext,
  ): Promise<MarkedDrained | ActRefusal> {
    const parameters = { by, reason, labels: labels === undefined ? '' : JSON.stringify(labels) };
    const ended = await this.#act('mark-drained', target, act, parameters, call);
    return ended.kind === 'ended' ? parsed(MARKED_DRAINED, ended.output, 'mark-drained') : ended;
  }

  async stopService(
    target: RunnerTarget,
    act: Act,
    stopping: Stopping,
    call: CallContext,
  ): Promise<Stopped | Heard | NotPaused | ActRefusal> {
    const ended = await this.#act('stop-service', target, act, stoppingParameters(stopping), call);
    return ended.kind === 'ended' ? parsed(z.union([STOPPED, STAYS]), ended.output, 'stop-service') : ended;
  }

  async pauseAfterJob(target: RunnerTarget, act: Act, call: CallContext): Promise<WaitsForEnd | ActRefusal> {
    const ended = await this.#act('wait-for-end', target, act, {}, call);
    return ended.kind === 'ended' ? parsed(WAITS_FOR_END, ended.output, 'wait-for-end') : ended;
  }

  async unmarkDrained(target: RunnerTarget, act: Act, call: CallContext): Promise<UnmarkedDrained | ActRefusal> {
    const ended = await this.#act('unmark-drained', target, act, {}, call);
    return ended.kind === 'ended' ? parsed(UNMARKED_DRAINED, ended.output, 'unmark-drained') : ended;
  }

  async listCache(target: RunnerTarget, wanted: CacheWanted, call: CallContext): Promise<CacheListed> {
    return parsed(CACHE_LISTED, await this.#read('list-cache', target, cacheParameters(wanted), call), 'list-cache');
  }

  async removeFromCache(
    target: RunnerTarget,
    act: Act,
    wanted: CacheWanted,
    stopping: Stopping,
    call: CallContext,
  ): Promise<CacheRemoved | Heard | NotPaused | ActRefusal> {
    const parameters = { ...cacheParameters(wanted), ...stoppingParameters(stopping) };
    const ended = await this.#act('remove-from-cache', target, act, parameters, call);
    return ended.kind === 'ended' ? parsed(z.union([CACHE_REMOVED, STAYS]), ended.output, 'remove-from-cache') : ended;
  }

  async makeRoom(
    target: RunnerTarget,
    act: Act,
    wanted: RoomWanted,
    stopping: Stopping,
    call: CallContext,
  ): Promise<RoomMade | Heard | NotPaused | ActRefusal> {
    const ended = await this.#act('make-room', target, act, { ...roomParameters(wanted), ...stoppingParameters(stopping) }, call);
    return ended.kind === 'ended' ? parsed(z.union([ROOM_MADE, STAYS]), ended.output, 'make-room') : ended;
  }

  async listWorkspaces(target: RunnerTarget, call: CallContext): Promise<readonly Workspace[]> {
    return parsed(WORKSPACES, await this.#read('list-workspaces', target, {}, call), 'list-workspaces');
  }

  async fetchPackage(target: RunnerTarget, act: Act, wanted: PackageWanted, call: CallContext): Promise<PackageStored | ActRefusal> {
    const { address, version } = wanted;
    if (address === null || !mayBeDownloaded(address, target)) {
      return { kind: 'not-fetched', reason: 'no-way', evidence: `${address ?? wanted.filename} is no address for a guest` };
    }
    // Until its deadline the act has to count the bytes as well.
    const seconds = Math.max(1, Math.floor(act.deadlineMs / 1_000) - COUNT_SECONDS);
    const parameters = { ...packageParameters(wanted), address, download_seconds: String(seconds) };
    const told = { ...call, heartbeat: () => call.heartbeat(`${target.machine} downloads package ${version} of the runner`) };
    const ended = await this.#act('fetch-package', target, act, parameters, told);
    return ended.kind === 'ended' ? parsed(PACKAGE_STORED, ended.output, 'fetch-package') : ended;
  }

  async passPackage(
    target: RunnerTarget,
    act: Act,
    wanted: PackageWanted,
    archive: Archive,
    call: CallContext,
  ): Promise<PackageStored | ActRefusal> {
    await using file = await open(archive.path);
    let earlier = '';
    // Asks first what is there.
    for (let offset = 0, piece = Buffer.alloc(0); ;) {
      const share = Math.floor((100 * offset) / archive.bytes);
      call.heartbeat(`passing package ${wanted.version} of the runner to ${target.machine}: ${share} % of ${bytesText(archive.bytes)}`);
      const key = `${act.key}.${offset}-${piece.length}`;
      const parameters = {
        ...packageParameters(wanted),
        bytes: String(archive.bytes),
        offset: String(offset),
        piece_bytes: String(piece.length),
        earlier,
      };
      const ended = await this.#act('store-piece', target, { ...act, key }, parameters, call, piece.toString('base64'));
      if (ended.kind !== 'ended') return ended;
      const answer = parsed(PIECE_STORED, ended.output, 'store-piece');
      if (answer.kind !== 'more') return answer;
      if (answer.have === offset && piece.length > 0) throw new MachineError('protocol', `store-piece: ${target.machine} takes no piece`);
      earlier = key;
      offset = answer.have;
      const { bytesRead, buffer } = await file.read(Buffer.alloc(PIECE_BYTES), 0, PIECE_BYTES, offset);
      piece = buffer.subarray(0, bytesRead);
    }
  }

  #patience(): guest.Parameters {
    return { settle_seconds: String(this.#timing.settleSeconds), start_seconds: String(this.#timing.startSeconds) };
  }

  /** A look that walks over what a runner holds; it rejects where that can't be read. */
  async #read(step: guest.Step, target: RunnerTarget, parameters: guest.Parameters, call: CallContext): Promise<Lines> {
    const { walkMs, walkSeconds } = this.#timing;
    const request = guest.look(step, walkSeconds, { ...ownParameters(target), ...parameters });
    const { answer } = await this.#drive(step, target.machine, request, walkMs, call);
    return linesOf(decode(answer['output64']));
  }

  async #look(target: RunnerTarget, call: CallContext): Promise<Reading<GuestObservation>> {
    const { lookMs, lookSeconds, cacheSeconds } = this.#timing;
    const parameters = { ...ownParameters(target), cache_seconds: String(cacheSeconds) };
    try {
      const request = guest.look('observe', lookSeconds, parameters);
      const { answer, clockOffsetMs } = await this.#drive('observe', target.machine, request, lookMs, call);
      return known({ ...parsed(OBSERVED, linesOf(decode(answer['output64'])), 'observe'), clockOffsetMs });
    } catch (error) {
      if (error instanceof MachineError && !ABOUT_THE_PROVIDER.has(error.kind)) {
        return unknown([error.message, error.evidence].filter((text) => text !== '').join(': '));
      }
      throw error;
    }
  }

  /** Runs a writing step under the fence, waits for its end, and ends it in the guest when the call is aborted. */
  async #act(
    step: guest.Step,
    target: RunnerTarget,
    act: Act,
    parameters: guest.Parameters,
    call: CallContext,
    input = '',
  ): Promise<{ readonly kind: 'ended'; readonly output: Lines; readonly clockOffsetMs: number } | ActRefusal> {
    if (!KEY.test(act.key)) throw new MachineError('protocol', `${step}: ${JSON.stringify(act.key)} is no key of an act`);
    const seconds = Math.max(1, Math.ceil(act.deadlineMs / 1_000));
    const attempt = randomUUID();
    const own = { ...ownParameters(target), least_bytes: String(LEAST_FREE_BYTES), ...actParameters(act), ...parameters };
    const request = guest.act(step, { key: act.key, fence: act.fence, seconds, attempt }, own, input);

    const { answer, clockOffsetMs } = await this.#drive(step, target.machine, request, act.deadlineMs + this.#timing.slackMs, call).catch(
      async (error: unknown) => {
        if (call.signal.aborted && !(call.signal.reason instanceof CallGivenUp)) await this.#cancel(target.machine, act.key, attempt, call);
        throw error;
      },
    );
    const outcome = parsed(ACT_ANSWER, answer, step);
    if (outcome.kind !== 'done') return outcome;

    const output = linesOf(outcome.output);
    if (outcome.record === 'success exited 0') return { kind: 'ended', output, clockOffsetMs };
    if (outcome.record === 'success exited 75') {
      const refusal = z.union([BUSY, DRAINED, UNFIT]).safeParse(output);
      return refusal.success ? refusal.data : { kind: 'ended', output, clockOffsetMs };
    }
    const ending = outcome.record.startsWith('timeout ') ? `did not end within ${seconds} s` : `ended with ${lineOf(outcome.record, 100)}`;
    throw new MachineError('act-failed', `${step} on ${target.machine} ${ending}`, { evidence: evidenceOf(outcome.errors) });
  }

  /** The deadline in the guest stands behind this one, so a failure to cancel is no failure. */
  async #cancel(machine: string, key: string, attempt: string, { heartbeat }: CallContext): Promise<void> {
    const call = { heartbeat, signal: new AbortController().signal };
    await this.#drive('cancel', machine, guest.cancel(key, attempt), this.#timing.shortMs, call).catch(() => {});
  }

  async #drive(
    step: string,
    machine: string,
    request: guest.DriverCall,
    deadlineMs: number,
    call: CallContext,
  ): Promise<{ readonly answer: Lines; readonly clockOffsetMs: number }> {
    const before = Date.now();
    const result = await this.#transport.exec(machine, { step, ...request, deadlineMs, trustRunningMs: TRUST_RUNNING_MS }, call);
    const after = Date.now();

    const answer = answerIn(result.stdout);
    if (answer === null) {
      const evidence = evidenceOf(result.stderr);
      throw new MachineError('unreachable', `${step}: the guest of ${machine} gave no answer (exit code ${result.exitCode})`, { evidence });
    }
    const { clockMs, elapsedMs } = parsed(CLOCK, answer, step);
    return { answer, clockOffsetMs: offset(clockMs, before + elapsedMs, after) };
  }
}

/** What every step knows of its runner: where and whose its files are, and what its unit is called by. */
function ownParameters({ directory, user, registrationUrl: url, runner: name, registration = 'pristine' }: RunnerTarget): guest.Parameters {
  return { directory, user, url, name, registration };
}

/**
 * Guest's clock minus host's clock. The guest read its clock at a moment between two of the host's; only what lies outside of them
 * is certainly the clock's fault and not the way's.
 */
function offset(guestMs: number, earliest: number, latest: number): number {
  if (guestMs < earliest) return guestMs - earliest;
  return guestMs > latest ? guestMs - latest : 0;
}

/** Of an observation as JSON, in characters: one look brings hundreds. */
const OBSERVATION_LENGTH = 1_020;

/**
 * Words that others than Runward wrote get the room that all the rest leaves: how the unit was altered, why the runner is drained, what it lacks, what
 * it is registered as, what cleans besides Runward, then the journal, the newest line first.
 */
function withinLength(seen: MachineObservation): MachineObservation {
  if (!seen.guest.known) return seen;
  const { value } = seen.guest;
  const { registration, foreignCleaner, drain, log, service, missingProgram } = value;
  const inWords = (shorten: (words: string) => string): MachineObservation => ({
    ...seen,
    guest: known({
      ...value,
      service: service.altered === undefined ? service : { ...service, altered: shorten(service.altered) },
      drain: drain === null ? null : { ...drain, reason: shorten(drain.reason) },
      missingProgram: missingProgram && shorten(missingProgram),
      registration: registration && { ...registration, url: shorten(registration.url), agentName: shorten(registration.agentName) },
      ...(foreignCleaner === undefined ? {} : { foreignCleaner: { ...foreignCleaner, file: shorten(foreignCleaner.file) } }),
      log: { ...log, signs: log.signs.map(({ code, line }) => ({ code, line: shorten(line) })) },
    }),
  });
  let room = OBSERVATION_LENGTH - JSON.stringify(inWords(() => '')).length;
  return inWords((words) => {
    const fitting = fittingInto(room, words);
    room -= lengthInJson(fitting);
    return fitting;
  });
}

function fittingInto(room: number, words: string): string {
  let fitting = words.slice(0, Math.max(0, room));
  while (fitting !== '' && lengthInJson(fitting) > room) fitting = fitting.slice(0, -1);
  return fitting;
}

const lengthInJson = (text: string): number => JSON.stringify(text).length - '""'.length;

/** What counting the bytes of a package may take in a slow guest. */
const COUNT_SECONDS = 60;

/** In base64, and with the scripts before it, it stays below the megabyte that is safe for the standard input of every client. */
const PIECE_BYTES = 704 * 1024;

function packageParameters({ version, sha256, leastFreeBytes }: PackageWanted): guest.Parameters {
  return { version, sha256, least_free_bytes: String(leastFreeBytes) };
}

/** Only from a server that proves who it is, or from the one that the runner is registered at. */
function mayBeDownloaded(address: string, { registrationUrl }: RunnerTarget): boolean {
  return address.startsWith('https://') || (address.startsWith('http://') && new URL(address).origin === new URL(registrationUrl).origin);
}

function actParameters({ ignoresStrays = false, drainSeen }: Act): guest.Parameters {
  return { ...(ignoresStrays ? { strays: 'ignored' } : {}), ...(drainSeen === undefined ? {} : { drain_seen: drainSeen }) };
}

/** Without a pause `paused` is empty. */
function stoppingParameters({ pause, force }: Stopping): guest.Parameters {
  return { force: force ? 'yes' : 'no', ...(pause === null ? { paused: '' } : { paused: 'yes', unread: pause.unread }) };
}

function pauseParameters(wanted: PauseWanted): guest.Parameters {
  switch (wanted.purpose) {
    case 'remove-from-cache':
      return { purpose: wanted.purpose, ...cacheParameters(wanted.wanted) };
    case 'make-room':
      return { purpose: wanted.purpose, ...roomParameters(wanted.wanted) };
    default:
      return { purpose: wanted.purpose };
  }
}

function roomParameters({ source, unusedForMs, journalBytes }: RoomWanted): guest.Parameters {
  return { source, unused_seconds: inSeconds(unusedForMs), journal_bytes: String(journalBytes) };
}

function cacheParameters(wanted: CacheWanted): guest.Parameters {
  switch (wanted.kind) {
    case 'all':
      return { kind: 'all' };
    case 'unused':
      return { kind: 'unused', unused_seconds: inSeconds(wanted.forMs) };
    case 'damaged':
      return {
        kind: 'damaged',
        named64: Buffer.from(wanted.named.map(({ lacks, path }) => `${lacks} ${path}\0`).join('')).toString('base64'),
      };
  }
}

function inSeconds(milliseconds: number): string {
  return String(Math.ceil(milliseconds / 1_000));
}

type Lines = Readonly<Record<string, string>>;

/** In characters; the driver hands over 64 KiB of each of two outputs, as base64. */
const ANSWER_LENGTH = 262_144;

/** The driver's answer; what a client or a login printed around it is passed over. */
function answerIn(stdout: string): Lines | null {
  const begin = `\n${stdout}`.indexOf('\nrunward-answer\n');
  if (begin === -1) return null;
  const answer = stdout.slice(begin, begin + ANSWER_LENGTH);
  const end = answer.indexOf('\nrunward-end');
  return end === -1 ? null : linesOf(answer.slice(0, end));
}

function linesOf(text: string): Lines {
  const lines: Record<string, string> = {};
  for (const line of text.split('\n')) {
    const at = line.indexOf('=');
    if (at > 0) lines[line.slice(0, at)] = line.slice(at + 1);
  }
  return lines;
}

function decode(base64: string | undefined): string {
  return Buffer.from(base64 ?? '', 'base64').toString('utf8');
}

function parsed<T>(schema: z.ZodType<T>, lines: Lines, step: string): T {
  const result = schema.safeParse(lines);
  if (result.success) return result.data;
  throw new MachineError('protocol', `${step}: the guest's answer is not understood: ${lineOf(z.prettifyError(result.error), 300)}`);
}

/** Whatever a guest says is made plain here: names, words in a line, and the end of what a command printed. */
const name = (most: number) => z.string().transform((text) => nameOf(text, most));
const text64 = z.string().transform(decode);
const name64 = (most: number) => text64.transform((text) => nameOf(text, most));
const line64 = (most: number) => text64.transform((text) => lineOf(text, most));
const evidence64 = text64.transform(evidenceOf);
const FILES = 50;
const names64 = text64.transform((text) =>
  text
    .split('\n')
    .filter((file) => file !== '')
    .slice(0, FILES)
    .map((file) => nameOf(file, NAME_LENGTH)),
);
const count = z.coerce.number().int().nonnegative();
const orNull = (text: string): string | null => (text === '' ? null : text);

/** In characters: names of files, and of who has the fence; paths; states and owners; versions; names of units; keys of acts. */
const NAME_LENGTH = 255;
const PATH_LENGTH = 300;
const WORD_LENGTH = 40;
const VERSION_LENGTH = 20;
const UNIT_LENGTH = 160;
const KEY_LENGTH = 120;

const CLOCK = z.object({ clockMs: z.coerce.number().int(), elapsedMs: count });

const REFUSED_IN_PROGRESS = z
  .object({ kind: z.literal('refused-in-progress'), holder64: line64(NAME_LENGTH) })
  .transform(({ kind, holder64 }) => ({ kind, holder: holder64 }));

/** A guest without a package of the runner is one that can't be registered anew. */
const UNFIT = z
  .object({ kind: z.enum(['refused-unfit', 'refused-no-package']), evidence64 })
  .transform((answer) => ({ kind: 'refused-unfit' as const, evidence: answer.evidence64 }));

const REFUSED_UNFINISHED = z
  .object({ kind: z.literal('refused-unfinished'), holder64: line64(NAME_LENGTH) })
  .transform(({ kind, holder64 }) => ({ kind, holder: holder64 }));

const FENCE_TAKEN = z.union([z.object({ kind: z.literal('taken'), fence: count }), UNFIT, REFUSED_IN_PROGRESS, REFUSED_UNFINISHED]);

const ACT_ANSWER = z.union([
  z
    .object({ kind: z.literal('done'), record: z.string(), output64: text64, errors64: text64 })
    .transform(({ kind, record, output64, errors64 }) => ({ kind, record, output: output64, errors: errors64 })),
  z
    .object({ kind: z.literal('refused-late'), holder64: line64(NAME_LENGTH) })
    .transform(({ kind, holder64 }) => ({ kind, holder: holder64 })),
  REFUSED_IN_PROGRESS,
  UNFIT,
]);

const withEvidence = <Kind extends string>(kind: Kind) =>
  z.object({ kind: z.literal(kind), evidence64 }).transform((answer) => ({ kind, evidence: answer.evidence64 }));
const BUSY = withEvidence('refused-busy');
const DRAINED = withEvidence('refused-drained');

const CLOCK_SYNCED = z.object({ kind: z.literal('synced'), source: z.enum(['ntp', 'host']) });

const SET_ASIDE = z
  .object({ kind: z.literal('set-aside'), agentId: z.string(), files64: names64 })
  .transform(({ kind, agentId, files64 }) => ({ kind, agentId: /^\d+$/.test(agentId) ? Number(agentId) : null, files: files64 }));

const CONFIGURED = z.union([
  z.object({ kind: z.literal('configured'), agentId: count }),
  z
    .object({ kind: z.literal('not-configured'), exitCode: count, evidence64, reason: z.enum(['token-refused', 'other']).default('other') })
    .transform(({ evidence64: evidence, ...rest }) => ({ ...rest, evidence })),
]);

const PACKAGE_STORED = z.union([
  z.object({ kind: z.enum(['fetched', 'kept']), version: name(WORD_LENGTH) }),
  z
    .object({ kind: z.literal('not-fetched'), reason: z.enum(['no-way', 'no-room', 'wrong-checksum']), evidence64 })
    .transform(({ evidence64: evidence, ...rest }) => ({ ...rest, evidence })),
]);
const PIECE_STORED = z.union([PACKAGE_STORED, z.object({ kind: z.literal('more'), have: count })]);

const SERVICE_STARTED = z.union([
  z.object({ kind: z.literal('started'), unit: name(NAME_LENGTH) }),
  z
    .object({ kind: z.literal('not-started'), unit: name(NAME_LENGTH), state: name(WORD_LENGTH), evidence64 })
    .transform(({ kind, unit, state, evidence64 }) => ({ kind, unit: orNull(unit), state, evidence: evidence64 })),
]);

const RESTORED = z.object({ kind: z.literal('restored'), files64: names64 }).transform(({ kind, files64 }) => ({ kind, files: files64 }));
const DISCARDED = z.object({ kind: z.literal('discarded'), files64: names64 }).transform(({ kind, files64 }) => ({ kind, files: files64 }));

const MARKED_DRAINED = z.object({ kind: z.literal('marked') });
const WAITS_FOR_END = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('waiting') }),
  z.object({ kind: z.literal('not-waiting'), evidence64 }).transform(({ kind, evidence64: evidence }) => ({ kind, evidence })),
]);
const UNMARKED_DRAINED = z.object({ kind: z.literal('unmarked') });
const STOPPED = z.object({ kind: z.literal('stopped') });
const LET_GO = z.object({ kind: z.literal('let-go') });
const NOT_PAUSED = withEvidence('not-paused');
/** Compared by the guest itself, with what it said before. */
const UNREAD_LENGTH = 4_096;
const unreadAs = <Kind extends string>(kind: Kind) =>
  z.object({ kind: z.literal(kind), unread64: name64(UNREAD_LENGTH) }).transform(({ unread64 }) => ({ kind, unread: unread64 }));
const PAUSED = z.union([unreadAs('paused'), NOT_PAUSED]);
/** What an act says that has stopped nothing, since something may take a job. */
const STAYS = z.union([unreadAs('heard'), NOT_PAUSED]);

/** GitHub's most, and what its addresses need. In characters. */
const AGENT_LENGTH = 64;
const URL_LENGTH = 200;

/** A `.runner` file, which begins with a byte order mark. One that can't be read counts as no configuration, as it does for the runner. */
const registration = text64.transform((text) => {
  try {
    const { agentId, agentName, gitHubUrl } = RUNNER_FILE.parse(JSON.parse(text.replace(/^\uFEFF/, '')));
    return { agentId, agentName: nameOf(agentName, AGENT_LENGTH), url: nameOf(gitHubUrl ?? '', URL_LENGTH) };
  } catch {
    return null;
  }
});

const RUNNER_FILE = z.object({ agentId: z.number(), agentName: z.string(), gitHubUrl: z.string().optional() });

const SERVICE_STATES = ['active', 'inactive', 'failed', 'activating', 'deactivating', 'reloading', 'missing'] as const;

/** `BYTES ENTRIES`, or nothing where they were not counted in time. */
const sizes = z
  .string()
  .regex(/^\d+ \d+$/)
  .transform((text) => {
    const [bytes, entries] = text.split(' ').map(Number);
    return { bytes: bytes ?? 0, entries: entries ?? 0 };
  });

/** The same with the number of damaged entries. */
const cacheSizes = z
  .string()
  .regex(/^\d+ \d+ \d+$/)
  .transform((text) => {
    const [bytes, entries, damaged] = text.split(' ').map(Number);
    return { bytes: bytes ?? 0, entries: entries ?? 0, damaged: damaged ?? 0 };
  });

/** `USED% FREE-BYTES INODES-USED`, the last empty where the file system has no fixed number of inodes. */
const disk = z
  .string()
  .regex(/^\d+% \d+ \d*$/)
  .transform((text) => {
    const [usedPercent = '', freeBytes = '', inodes = ''] = text.split(/%? /);
    return { usedPercent: Number(usedPercent), freeBytes: Number(freeBytes), inodesUsedPercent: inodes === '' ? null : Number(inodes) };
  });

/** `LISTENERS WORKERS PROCESS` */
const strays = z
  .string()
  .regex(/^\d{1,7} \d{1,7} \d{1,9}$/)
  .transform((text) => {
    const [listeners = 0, workers = 0, process = 0] = text.split(' ').map(Number);
    return { listeners, workers, process };
  });

/** How much of a text in the guest an observation carries, so that it stays small. */
const WORDS_LENGTH = 50;
const inFewWords = (text: string): string => lineOf(text, WORDS_LENGTH);

/** Epoch seconds, whose word it is, the reason, and the labels, a line each. A mark that is damaged is a mark, and a person's. */
const drainMark = text64.transform((text): DrainMark => {
  const [seconds = '', by = '', reason = '', labels = ''] = text.split('\n', 4);
  const remembered = LABELS.safeParse(labels);
  return {
    since: /^\d{1,12}$/.test(seconds) ? Number(seconds) * 1_000 : 0,
    by: by === 'room' ? by : 'person',
    reason: inFewWords(reason),
    ...(remembered.success ? { labels: remembered.data } : {}),
  };
});

const LABELS = z
  .string()
  .max(REMEMBERED_LENGTH)
  .transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue('no JSON');
      return z.NEVER;
    }
  })
  .pipe(z.array(z.string()));

/** How much is told of how a unit was altered. */
const ALTERED_LENGTH = 160;

const CLEANER_LENGTH = 100;

/** `FILE:NUMBER` */
const foreignCleaner = text64.transform((text): ForeignCleaner => {
  const [, file = '', line] = /^([^:]*)(?::(\d{1,7}))?/.exec(text.slice(0, PATH_LENGTH)) ?? [];
  return { file: nameOf(file, CLEANER_LENGTH), line: line === undefined ? null : Number(line) };
});

/** What is read of the journal, and of a line of it, in characters. */
const JOURNAL = { most: 65_536, longest: 1_000 };

const OBSERVED = z
  .object({
    bootId: name(WORD_LENGTH).pipe(z.string().min(1)),
    uptimeMs: count,
    unit: name(UNIT_LENGTH),
    serviceState: z.enum(SERVICE_STATES),
    startedAgo: z.union([z.literal(''), count]).optional(),
    altered64: line64(ALTERED_LENGTH).optional(),
    journal64: text64.optional(),
    timeSync: z.enum(['timesyncd', 'chrony', '']),
    timeSyncState: name(WORD_LENGTH),
    drain64: drainMark.optional(),
    workers: count,
    workersOnMachine: count,
    listeners: count,
    strays: strays.optional(),
    runner64: registration.optional(),
    version: name(VERSION_LENGTH).optional(),
    missing64: text64.transform(inFewWords).optional(),
    disk,
    work: sizes.optional(),
    cache: cacheSizes.optional(),
    cleanedAgo: count.optional(),
    cleaner64: foreignCleaner.optional(),
    runningAct: name(KEY_LENGTH),
    architecture: name(VERSION_LENGTH).optional(),
    packageVersion: name(VERSION_LENGTH).optional(),
  })
  .transform((seen) => ({
    bootId: seen.bootId,
    uptimeMs: seen.uptimeMs,
    service: { unit: orNull(seen.unit), state: seen.serviceState, ...(seen.altered64 === undefined ? {} : { altered: seen.altered64 }) },
    log: readServiceLog(plainLinesOf(seen.journal64 ?? '', JOURNAL), typeof seen.startedAgo === 'number' ? seen.startedAgo * 1_000 : null),
    timeSync: { service: seen.timeSync === '' ? null : seen.timeSync, isActive: seen.timeSyncState === 'active' },
    drain: seen.drain64 ?? null,
    workers: seen.workers,
    workersOnMachine: seen.workersOnMachine,
    listeners: seen.listeners,
    ...(seen.strays === undefined ? {} : { strays: seen.strays }),
    registration: seen.runner64 ?? null,
    installedVersion: orNull(seen.version ?? ''),
    missingProgram: orNull(seen.missing64 ?? ''),
    disk: seen.disk,
    work: seen.work ?? null,
    cache: seen.cache ?? null,
    cleanedAgoMs: seen.cleanedAgo === undefined ? null : seen.cleanedAgo * 1_000,
    ...(seen.cleaner64 === undefined ? {} : { foreignCleaner: seen.cleaner64 }),
    runningAct: orNull(seen.runningAct),
    ...(seen.architecture === undefined ? {} : { architecture: seen.architecture }),
    ...(seen.packageVersion === undefined ? {} : { packageVersion: orNull(seen.packageVersion) }),
  }));

/** No list of a guest's is longer. */
const RECORDS = 201;

/** Records that NUL ends, as `FIELD … TEXT`, where the text may hold anything. */
const records64 = <T extends z.ZodType>(fields: number, record: T) =>
  text64
    .transform((text): unknown =>
      text
        .split('\0', RECORDS)
        .slice(0, -1)
        .map((each) => {
          const words = each.split(' ');
          return [...words.slice(0, fields), words.slice(fields).join(' ')];
        }),
    )
    .pipe(z.array(record));

const cacheEntry = z
  .tuple([count, z.union([z.literal('-'), count]), name(PATH_LENGTH)])
  .transform(([bytes, unused, path]) => ({ path, bytes, unusedMs: unused === '-' ? null : unused * 1_000 }));

const noneAsNull = name(WORD_LENGTH).transform((text) => (text === '-' ? null : text));

const cacheDamage = z
  .tuple([
    z.enum(['missing', 'empty', 'no-manifest', 'unreadable', 'whole']),
    noneAsNull,
    noneAsNull,
    z.enum(['yes', 'no']),
    name(PATH_LENGTH),
  ])
  .transform(([state, owner, mode, immutable, path]): CacheDamage => ({ path, state, owner, mode, isImmutable: immutable === 'yes' }));

const CACHE_LISTED = z
  .object({
    bytes: count,
    entries: count,
    found64: records64(2, cacheEntry),
    foundBytes: count,
    foundEntries: count,
    damage64: records64(4, cacheDamage),
  })
  .transform(({ found64, damage64, ...listed }): CacheListed => ({ ...listed, found: found64, damage: damage64 }));

const CACHE_REMOVED = z
  .object({
    kind: z.literal('removed'),
    isAll: z.enum(['yes', 'no']),
    entries: count,
    bytes: count,
    unmeasured: count,
    names64: records64(0, z.tuple([name(PATH_LENGTH)])),
    damage64: records64(4, cacheDamage),
    freeBytes: count,
    freeInodes: z.union([z.literal(''), count]),
  })
  .transform(({ isAll, names64, damage64, freeInodes, ...removed }): CacheRemoved => ({
    ...removed,
    isAll: isAll === 'yes',
    names: names64.map(([name]) => name),
    damage: damage64,
    freeInodes: freeInodes === '' ? null : freeInodes,
  }));

const ROOM_MADE = z.union([
  z.object({ kind: z.literal('made'), bytes: z.coerce.number().int(), items: count, disk }),
  z.object({ kind: z.literal('nothing'), why64: evidence64, disk }).transform(({ why64, ...rest }) => ({ ...rest, why: why64 })),
]);

const workspace = z
  .tuple([z.union([z.literal('-').transform(() => null), count]), name(PATH_LENGTH)])
  .transform(([bytes, name]): Workspace => ({ name, bytes }));
const WORKSPACES = z.object({ workspaces64: records64(1, workspace) }).transform(({ workspaces64 }) => workspaces64);
