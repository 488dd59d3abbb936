import { ActivityFailure, ApplicationFailure, WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { CancellationScope, isCancellation, proxyActivities, startChild } from '@temporalio/workflow';
import type { LookActivities } from '../activities/contract.ts';
import { fewOf } from '../domain/few-of.ts';
import { qualifiedName } from '../domain/names.ts';
import {
  bytesText,
  diskText,
  floorReason,
  hasRoom,
  lacksRoom,
  resumeObstacle,
  ROOM_SOURCES,
  SHARED_SOURCES,
  type Disk,
  type RoomMade,
  type RoomSource,
} from '../domain/room.ts';
import type { GuestObservation } from '../domain/runner.ts';
import {
  decideUpkeep,
  isDrainedForRoom,
  roomDrainId,
  ROOM_STEPS,
  type RoomOutcome,
  type RoomReport,
  type RoomStep,
} from '../domain/upkeep.ts';
import { actBetweenJobs, holdingForUpkeep, lookForMoment, refusable, refusalIn, watchReason } from './between-jobs.ts';
import { drainRunner } from './drain-runner.ts';
import { operate, type End, type Operation } from './operation.ts';
import { ACT_FAILED, listOptions } from './options.ts';
import { resumeRunner } from './resume-runner.ts';
import { childLabels } from './search-attributes.ts';
import { Ended, reasonOf } from './site.ts';

/**
 * Makes room on the disk of a runner's machine between two jobs, from what is worth least up, until there is enough. With too little left
 * for a job the runner is drained, and taken up again once room was made. Ends with a {@link RoomReport}.
 */
export async function makeRoom(...given: unknown[]): Promise<RoomReport> {
  let making: Making | null = null;
  const report = await operate<RoomOutcome, RoomStep>('makeRoom', ROOM_STEPS, given, (operation) => {
    making = new Making(operation);
    return refusable(operation, making.run);
  });
  const { dryRun = false, freed = [] } = (making as Making | null) ?? {};
  return { ...report, dryRun, freed };
}

type Refusal = End<'refused-busy' | 'refused-budget'>;

class Making {
  readonly #operation: Operation<RoomStep>;
  readonly #freed: { readonly source: RoomSource; readonly bytes: number }[] = [];
  /** As it was seen last. */
  #disk: Disk = { usedPercent: 0, freeBytes: Infinity, inodesUsedPercent: null };

  constructor(operation: Operation<RoomStep>) {
    this.#operation = operation;
  }

  get dryRun(): boolean {
    return this.#operation.request.dryRun;
  }

  get freed(): RoomReport['freed'] {
    return this.#freed;
  }

  readonly run = async (): Promise<End<RoomOutcome>> => {
    const { site } = this.#operation;
    const { machine } = site.target;
    const { room } = site.policy.upkeep;
    const guest = await this.#look();
    const before = guest.disk;
    const isHeldBack = isDrainedForRoom(guest) && resumeObstacle(before, room) !== null;
    if (!lacksRoom(before, room) && floorReason(before, room) === null && !isHeldBack) {
      await this.#takeUp(guest);
      return ['enough-room', `the disk of ${machine} has room: ${diskText(before)}`];
    }
    const watches = watchReason(this.#operation);
    if (this.dryRun || watches !== null) {
      const what = `${diskText(before)} on ${machine}; room would be made from ${this.#sources().join(', ')}, until it is enough`;
      return this.dryRun ? ['planned', what] : ['refused-watching', `${what}, but Runward only watches (${watches})`];
    }
    this.#disk = before;
    const refusal = await this.#make();
    return this.#end(guest, before, refusal);
  };

  /** A job that runs on a disk without room is let run; no other shall follow it. */
  async #look(): Promise<GuestObservation> {
    const { site, request } = this.#operation;
    try {
      return await lookForMoment(this.#operation);
    } catch (error) {
      const decision = decideUpkeep(site.target, await site.freshLook(), request.force);
      if (error instanceof Ended && decision.kind === 'busy' && !this.dryRun && watchReason(this.#operation) === null) {
        const floor = floorReason(decision.guest.disk, site.policy.upkeep.room);
        if (floor !== null && decision.guest.drain === null) {
          await this.#drain(floor);
          throw new Ended('refused-busy', `${error.message}; with ${floor} it takes no job after this one`);
        }
      }
      throw error;
    }
  }

  #sources(): readonly RoomSource[] {
    const { unusedForMs } = this.#operation.site.policy.upkeep.room;
    // The policy in an older history does not know each.
    return ROOM_SOURCES.filter((source) => typeof unusedForMs[source] === 'number');
  }

  /** One source after the other, until it is enough; answers what kept it from that. */
  async #make(): Promise<Refusal | null> {
    try {
      await holdingForUpkeep(this.#operation, 'makeRoom', async ({ disk }) => {
        this.#disk = disk;
        for (const source of this.#sources()) {
          if (!this.#isEnough()) {
            await this.#makeFrom(source);
          }
        }
        return this.#isEnough() ? 'room-made' : 'some-room';
      });
      return null;
    } catch (error) {
      return refusalIn(this.#operation, error);
    }
  }

  #isEnough(): boolean {
    const { room } = this.#operation.site.policy.upkeep;
    return hasRoom(this.#disk, room) && floorReason(this.#disk, room) === null;
  }

  /** A source that can't be emptied, or not while a neighbour's job runs, is no reason to leave the others. */
  async #makeFrom(source: RoomSource): Promise<void> {
    const { site, board } = this.#operation;
    const { room } = site.policy.upkeep;
    board.begin(source);
    const wanted = { source, unusedForMs: room.unusedForMs[source] ?? 0, journalBytes: room.journalBytes };
    try {
      const made = await actBetweenJobs<RoomMade, RoomStep>(
        this.#operation,
        {
          step: source,
          summary: `make room on ${site.target.machine} from ${source}`,
          pause: { purpose: 'make-room', wanted },
          reach: SHARED_SOURCES.has(source) ? 'machine' : 'runner',
        },
        (acts, input) => acts.makeRoom({ ...input, wanted }),
      );
      this.#disk = made.disk;
      this.#tell(source, made);
    } catch (error) {
      if (error instanceof Ended && error.outcome === 'refused-busy' && SHARED_SOURCES.has(source)) {
        board.end(source, 'skipped', error.message);
      } else if (hasFailedInGuest(error)) {
        board.end(source, 'failed', reasonOf(error, site.target));
      } else {
        throw error;
      }
    }
  }

  #tell(source: RoomSource, made: RoomMade): void {
    const { board } = this.#operation;
    if (made.kind === 'nothing') {
      board.end(source, 'skipped', made.why);
      return;
    }
    this.#freed.push({ source, bytes: made.bytes });
    board.end(
      source,
      'done',
      `${bytesText(made.bytes)} freed by ${made.items} ${made.items === 1 ? 'item' : 'items'}; ${diskText(made.disk)}`,
    );
  }

  /** They belong to the jobs: what they take is told, and nothing of them removed. To walk over them may take long, so the machine is let go. */
  async #tellWorkspaces(): Promise<void> {
    const { site, board } = this.#operation;
    const looks = proxyActivities<LookActivities>(listOptions(site.policy, site.target.host, 'what do the workspaces take?'));
    board.begin('workspaces');
    try {
      const workspaces = await site.answer(() => looks.listWorkspaces({ target: site.target }));
      const largest = fewOf(
        workspaces.map(({ name, bytes }) => `${name} ${bytes === null ? '(not counted in time)' : bytesText(bytes)}`),
        5,
      );
      board.end(
        'workspaces',
        'skipped',
        largest === null ? 'there are none' : `they belong to the jobs and stay (\`disk.workspacesDays\`): ${largest}`,
      );
    } catch (error) {
      if (isCancellation(error)) {
        throw error;
      }
      board.end('workspaces', 'failed', reasonOf(error, site.target));
    }
  }

  /** The floor is kept whatever became of the sources. */
  async #end(guest: GuestObservation, before: Disk, refusal: Refusal | null): Promise<End<RoomOutcome>> {
    const { site } = this.#operation;
    const { machine, runner } = site.target;
    const { room } = site.policy.upkeep;
    const after = this.#disk;
    const made = `${diskText(before)} on ${machine} before, ${diskText(after)} now`;
    const floor = floorReason(after, room);
    if (floor !== null && guest.drain === null) {
      await this.#drain(floor);
    } else if (resumeObstacle(after, room) === null) {
      await this.#takeUp(guest);
    }
    if (refusal !== null) {
      const [outcome, why] = refusal;
      return [outcome, floor === null ? why : `${why}; with ${floor} ${runner} takes no more jobs`];
    }
    if (!this.#isEnough() && room.unusedForMs.workspaces === null) {
      await this.#tellWorkspaces();
    }
    if (floor !== null) {
      return [
        'no-room',
        `${made}: too little for a job, so ${runner} is drained; make room, then run \`runward runner resume --runner ${runner}\`, or let the next health check do it`,
      ];
    }
    const obstacle = isDrainedForRoom(guest) ? resumeObstacle(after, room) : null;
    return [this.#isEnough() ? 'room-made' : 'some-room', obstacle === null ? made : `${made}; ${runner} stays drained ${obstacle}`];
  }

  async #drain(floor: string): Promise<void> {
    const { board } = this.#operation;
    const reason = `no room on the disk (${floor})`;
    board.begin('drain');
    await this.#start(drainRunner, 'drain', { reason });
    board.end('drain', 'done', `begun: ${reason}`);
  }

  /** Ends Runward's own drain once there is room; a person's holds. */
  async #takeUp(guest: GuestObservation): Promise<void> {
    if (isDrainedForRoom(guest) && !this.dryRun && watchReason(this.#operation) === null) {
      await this.#start(resumeRunner, 'resume', { reason: 'there is room on the disk again' });
    }
  }

  /** It takes the machine's lock by itself, and goes on whatever becomes of this one. */
  async #start(
    operation: typeof drainRunner | typeof resumeRunner,
    what: 'drain' | 'resume',
    asked: { readonly reason: string },
  ): Promise<void> {
    const { target } = this.#operation.site;
    const runner = qualifiedName(target);
    try {
      await CancellationScope.nonCancellable(() =>
        startChild(operation, {
          workflowId: what === 'drain' ? roomDrainId(runner) : `resume/${runner}/room`,
          parentClosePolicy: 'ABANDON',
          args: [{ runner, ...asked, wait: '10m' }],
          staticSummary: `${what} ${target.runner}: ${asked.reason}`,
          ...childLabels(this.#operation.resolved.searchAttributes, { scope: target.scope, runner: target.runner, trigger: 'check' }),
        }),
      );
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) {
        throw error;
      }
    }
  }
}

function hasFailedInGuest(error: unknown): boolean {
  return error instanceof ActivityFailure && error.cause instanceof ApplicationFailure && error.cause.type === ACT_FAILED;
}
