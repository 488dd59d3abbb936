// Schedules with intervals, which skip a pass while the last one runs.

import { encodeUnifiedSearchAttributes } from '@temporalio/common/lib/converter/payload-search-attributes.js';
import { defineSearchAttributeKey } from '@temporalio/common';
import { payloads } from './payloads.ts';
import type { ScheduleSettings, Started } from './port.ts';
import type { Server } from './server.ts';

/** What a schedule remembers of what it has started. */
const RECENT_ACTIONS = 10;

interface Schedule {
  readonly settings: ScheduleSettings;
  isPaused: boolean;
  last: Started | null;
  readonly recent: { readonly at: number; readonly started: Started }[];
}

export class Schedules {
  readonly #server: Server;
  readonly #schedules = new Map<string, Schedule>();

  constructor(server: Server) {
    this.#server = server;
  }

  add(settings: ScheduleSettings): void {
    const schedule: Schedule = { settings, isPaused: false, last: null, recent: [] };
    this.#schedules.set(settings.scheduleId, schedule);
    const { everyMs, offsetMs } = settings;
    const now = this.#server.clock.now();
    const passed = Math.ceil((now - offsetMs) / everyMs);
    this.#wait(schedule, offsetMs + passed * everyMs);
  }

  pause(scheduleId: string, isPaused: boolean): void {
    const schedule = this.#schedules.get(scheduleId);
    if (schedule !== undefined) {
      schedule.isPaused = isPaused;
    }
  }

  describe(scheduleId: string) {
    const schedule = this.#schedules.get(scheduleId);
    if (schedule === undefined) {
      return null;
    }
    const { settings, isPaused, recent } = schedule;
    return {
      scheduleId,
      spec: { intervals: [{ every: settings.everyMs, offset: settings.offsetMs }] },
      state: { paused: isPaused },
      info: {
        recentActions: recent.map(({ at, started: { workflowId, runId } }) => ({
          scheduledAt: new Date(at),
          takenAt: new Date(at),
          action: { type: 'startWorkflow', workflow: { workflowId, firstExecutionRunId: runId } },
        })),
        nextActionTimes: [],
      },
    };
  }

  #wait(schedule: Schedule, at: number): void {
    const { everyMs, offsetMs, catchupMs } = schedule.settings;
    const server = this.#server;
    server.timer(at, () => {
      const now = server.clock.now();
      if (now - at <= catchupMs) {
        this.#act(schedule, at);
      }
      // What was missed beyond the catch-up window is left out.
      const missed = Math.max(1, Math.ceil((now - catchupMs - at) / everyMs));
      // A server whose clock was ahead goes on by the right one.
      const next = at > now + everyMs ? offsetMs + Math.ceil((now - offsetMs) / everyMs) * everyMs : at + missed * everyMs;
      this.#wait(schedule, next);
    });
  }

  #act(schedule: Schedule, at: number): void {
    const server = this.#server;
    const { settings, last } = schedule;
    const { scheduleId, workflowType: type, args, runTimeoutMs, labels } = settings;
    const isLastOpen = last !== null && server.findOpen(last.workflowId) !== null;
    if (schedule.isPaused || isLastOpen) {
      return;
    }
    const workflowId = `${scheduleId}-${new Date(at).toISOString().replace(/\.\d+Z$/, 'Z')}`;
    const attributes = Object.entries({ TemporalScheduledById: scheduleId, ...labels });
    const { name } = server.start({
      type,
      workflowId,
      args: args.map((each) => payloads.toPayload(each)),
      searchAttributes: encodeUnifiedSearchAttributes(
        undefined,
        attributes.map(([key, value]) => ({ key: defineSearchAttributeKey(key, 'KEYWORD'), value })),
      ),
      runTimeoutMs,
    });
    schedule.last = name;
    schedule.recent.push({ at, started: name });
    if (schedule.recent.length > RECENT_ACTIONS) {
      schedule.recent.shift();
    }
  }
}
