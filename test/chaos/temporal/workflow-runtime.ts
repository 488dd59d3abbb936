// One run of a workflow in the SDK's own runtime, without the sandbox around it: what a worker's isolate does with an activation.

import './sandbox.ts';
import { defaultFailureConverter, TypedSearchAttributes } from '@temporalio/common';
import { setActivator } from '@temporalio/workflow/lib/global-attributes.js';
import { Activator } from '@temporalio/workflow/lib/internals.js';
import { activate, concludeActivation, initialize, tryUnblockConditions } from '@temporalio/workflow/lib/worker-interface.js';
import { drained } from './clock.ts';
import { payloads } from './payloads.ts';
import type { AnyWorkflow } from './port.ts';

type ActivatorOptions = ConstructorParameters<typeof Activator>[0];
export type RunInfo = ActivatorOptions['info'];
type Activation = Parameters<typeof activate>[0];
type Commands = NonNullable<NonNullable<ReturnType<typeof concludeActivation>['successful']>['commands']>;
export type Command = Commands[number];

/** A job of an activation, by the name of its kind. */
export type Job = Omit<NonNullable<Activation['jobs']>[number], 'variant'> & {
  readonly variant: keyof NonNullable<Activation['jobs']>[number];
};

export interface SinkCall {
  readonly ifaceName: string;
  readonly fnName: string;
  readonly args: readonly unknown[];
}

export interface Activated {
  readonly commands: readonly Command[];
  readonly sinkCalls: readonly SinkCall[];
}

/** What an activation says besides its jobs. */
export interface ActivationTime {
  readonly at: number;
  readonly historyLength: number;
  readonly continueAsNewSuggested: boolean;
  readonly isReplaying: boolean;
}

export class WorkflowRuntime {
  readonly #activator: Activator;
  #patches: readonly string[] = [];

  constructor(
    workflow: AnyWorkflow,
    info: Omit<RunInfo, 'searchAttributes' | 'typedSearchAttributes' | 'unsafe'>,
    seed: readonly number[],
  ) {
    const activator = new Activator({
      // Its search attributes come with the first job.
      info: {
        ...info,
        typedSearchAttributes: new TypedSearchAttributes(),
        unsafe: { now: Date.now, isReplaying: false, isReplayingHistoryEvents: false, random: Math.random },
      } as unknown as RunInfo,
      randomnessSeed: [...seed],
      now: 0,
      showStackTraceSources: false,
      sourceMap: {} as ActivatorOptions['sourceMap'],
      registeredActivityNames: new Set(),
      getTimeOfDay: () => 0n,
      stackTracesEnabled: false,
    });
    activator.payloadConverter = payloads;
    activator.failureConverter = defaultFailureConverter;
    activator.workflow = workflow as unknown as NonNullable<typeof activator.workflow>;
    this.#activator = activator;
  }

  /** To be told before a replay. */
  knowPatches(patches: readonly string[]): void {
    this.#patches = patches;
  }

  /** Throws what the code threw that fails the task and not the run. */
  async activate(jobs: readonly Job[], { at, historyLength, continueAsNewSuggested, isReplaying }: ActivationTime): Promise<Activated> {
    const activator = this.#activator;
    setActivator(activator);
    try {
      activator.now = at;
      activator.mutateWorkflowInfo((info) => ({
        ...info,
        historyLength,
        continueAsNewSuggested,
        unsafe: { ...info.unsafe, isReplaying, isReplayingHistoryEvents: isReplaying },
      }));
      if (isReplaying) {
        this.#patches.forEach((patchId) => activator.notifyHasPatch({ patchId }));
      }
      const [first] = jobs;
      if (first?.initializeWorkflow != null) {
        initialize(first.initializeWorkflow);
      }
      activate({ jobs: [...jobs] as Activation['jobs'] } as Activation);
      await this.#settled();
      const { commands = [] } = concludeActivation().successful ?? {};
      return { commands: commands ?? [], sinkCalls: activator.getAndResetSinkCalls() };
    } finally {
      setActivator(undefined);
    }
  }

  async query(id: string, name: string, args: readonly unknown[]): Promise<Command> {
    setActivator(this.#activator);
    try {
      const query = { queryId: id, queryType: name, arguments: args.map((each) => payloads.toPayload(each)) };
      activate({ jobs: [{ variant: 'queryWorkflow', queryWorkflow: query }] } as unknown as Activation);
      await drained();
      const [answer] = this.#activator.concludeActivation().commands;
      if (answer === undefined) {
        throw new Error(`query ${name} was not answered`);
      }
      return answer;
    } finally {
      setActivator(undefined);
    }
  }

  async #settled(): Promise<void> {
    do {
      await drained();
    } while (tryUnblockConditions() > 0);
  }
}
