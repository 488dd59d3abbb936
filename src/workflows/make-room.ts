import { ActivityFailure, ApplicationFailure, WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { CancellationScope, proxyActivities, startChild } from '@temporalio/workflow';
import type { LookActivities } from '../activities/contract.ts';
import { fewOf } from '../domain/few-of.ts';
import { qualifiedName } from '../domain/names.ts';
import {
  bytesText,
  diskText,
  floorReason,
  hasRoom,
  lacksRoom,
  ROOM_SOURCES,
  SHARED_SOURCES,
  type Disk,
  type RoomMade,
  type RoomSource,
} from '../domain/room.ts';
import type { GuestObservation } from '../domain/runner.ts';
import {
  decideUpkeep,
  DRAINED_FOR_ROOM,
  isDrainedForRoom,
  ROOM_STEPS,
  type RoomOutcome,
  type RoomReport,
  type RoomStep,
} from '../domain/upkeep.ts';
import { actBetweenJobs, holdingForUpkeep, lookForMoment, refusable, watchReason } from './between-jobs.ts';
import { drainRunner } from './drain-runner.ts';
import { operate, type End, type Operation } from './operation.ts';
import { ACT_FAILED, listOptions } from './options.ts';
import { resumeRunner } from './resume-runner.ts';
import { labels } from './search-attributes.ts';
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

class Making {
  readonly #operation: Operation<RoomStep>;
  readonly #freed: { readonly source: RoomSource; readonly bytes: number }[] = [];

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
    const guest = await this.#look();
    const before = guest.disk;
    if (!lacksRoom(before, site.policy.upkeep.room) && floorReason(before, site.policy.upkeep.room) === null) {
      await this.#takeUp(guest);
      return ['enough-room', `the disk of ${machine} has room: ${diskText(before)}`];
    }
    const watches = watchReason(this.#operation);
    if (this.dryRun || watches !== null) {
      const what = `${diskText(before)} on ${machine}; room would be made from ${this.#sources().join(', ')}, until it is enough`;
      return this.dryRun ? ['planned', what] : ['refused-watching', `${what}, but Runward only watches (${watches})`];
    }
    let after = before;
    await holdingForUpkeep(this.#operation, 'makeRoom', async ({ disk }) => {
      after = await this.#make(disk);
      return hasRoom(after, site.policy.upkeep.room) ? 'room-made' : 'some-room';
    });
    return this.#end(guest, before, after);
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
    return ROOM_SOURCES.filter((source) => unusedForMs[source] !== null);
  }

  /** One source after the other, until it is enough. */
  async #make(before: Disk): Promise<Disk> {
    const { site, board } = this.#operation;
    const { room } = site.policy.upkeep;
    let disk = before;
    for (const source of this.#sources()) {
      if (hasRoom(disk, room)) {
        return disk;
      }
      board.begin(source);
      const wanted = { source, unusedForMs: room.unusedForMs[source] ?? 0, journalBytes: room.journalBytes };
      try {
        const made = (await actBetweenJobs<RoomMade, RoomStep>(
          this.#operation,
          { step: source, summary: `make room on ${site.target.machine} from ${source}` },
          (acts, input) => acts.makeRoom({ ...input, wanted }),
        )) as RoomMade;
        ({ disk } = made);
        this.#tell(source, made);
      } catch (error) {
        if (hasFailedInGuest(error)) {
          board.end(source, 'failed', reasonOf(error, site.target));
        } else if (error instanceof Ended && error.outcome === 'refused-busy' && SHARED_SOURCES.has(source)) {
          board.end(source, 'skipped', error.message);
        } else {
          throw error;
        }
      }
    }
    if (!hasRoom(disk, room) && room.unusedForMs.workspaces === null) {
      await this.#tellWorkspaces();
    }
    return disk;
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

  /** They belong to the jobs: what they take is told, and nothing of them removed. */
  async #tellWorkspaces(): Promise<void> {
    const { site, board } = this.#operation;
    const looks = proxyActivities<LookActivities>(listOptions(site.policy, site.target.host, 'what do the workspaces take?'));
    board.begin('workspaces');
    const workspaces = await site.answer(() => looks.listWorkspaces({ target: site.target }));
    const largest = fewOf(
      workspaces.map(({ name, bytes }) => `${name} ${bytesText(bytes)}`),
      5,
    );
    board.end(
      'workspaces',
      'skipped',
      largest === null ? 'there are none' : `they belong to the jobs and stay (\`disk.workspacesDays\`): ${largest}`,
    );
  }

  async #end(guest: GuestObservation, before: Disk, after: Disk): Promise<End<RoomOutcome>> {
    const { site } = this.#operation;
    const { machine, runner } = site.target;
    const { room } = site.policy.upkeep;
    const made = `${diskText(before)} on ${machine} before, ${diskText(after)} now`;
    const floor = floorReason(after, room);
    if (floor !== null) {
      if (guest.drain === null) {
        await this.#drain(floor);
      }
      return [
        'no-room',
        `${made}: too little for a job, so ${runner} is drained; make room, then run \`runward runner resume --runner ${runner}\``,
      ];
    }
    await this.#takeUp(guest);
    return [hasRoom(after, room) ? 'room-made' : 'some-room', made];
  }

  async #drain(floor: string): Promise<void> {
    const { board } = this.#operation;
    const reason = `${DRAINED_FOR_ROOM} (${floor})`;
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
          workflowId: `${what}/${runner}/room`,
          parentClosePolicy: 'ABANDON',
          args: [{ runner, ...asked, wait: '10m' }],
          staticSummary: `${what} ${target.runner}: ${asked.reason}`,
          typedSearchAttributes: labels({ scope: target.scope, runner: target.runner, trigger: 'check' }),
        }),
      );
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) {
        throw error;
      }
    }
  }
}

/** One source that can't be emptied is no reason to leave the others. */
function hasFailedInGuest(error: unknown): boolean {
  return error instanceof ActivityFailure && error.cause instanceof ApplicationFailure && error.cause.type === ACT_FAILED;
}
