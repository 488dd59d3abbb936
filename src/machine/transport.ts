import type { MachineState } from '../domain/runner.ts';
import type { CallContext, MachineRestarted } from './port.ts';

/** A command to run in a guest. */
export interface RemoteCommand {
  /** Names the call in errors and heartbeats. */
  readonly step: string;
  /** Program and arguments; each arrives in the guest as it is. */
  readonly argv: readonly string[];
  /** Standard input, less than 2 MiB; empty by default. */
  readonly input?: Uint8Array;
  /** A machine that this transport has seen running within this time is not asked for its state again; 0 by default. Milliseconds. */
  readonly trustRunningMs?: number;
  /** How long the client may take. The command in the guest may outlive it. Milliseconds. */
  readonly deadlineMs: number;
}

export interface RemoteResult {
  /** The command's own exit code. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * The way to one provider's machines. Every method rejects with `MachineError`, or with the signal's reason once that is aborted.
 * What was started in a guest outlives a call that is aborted or times out.
 */
export interface Transport {
  /** Leaves the machine as it is; one that does not exist is `missing`. */
  state(machine: string, call: CallContext): Promise<MachineState>;
  /** The same of all these machines by one call of the provider's client. */
  states(machines: readonly string[], call: CallContext): Promise<ReadonlyMap<string, MachineState>>;
  /** Starts or resumes the machine and resolves once its guest answers. State `unknown` is waited out, with a limit: so a first boot begins. */
  start(machine: string, call: CallContext): Promise<void>;
  /**
   * Cuts the machine's power, after an orderly end from inside if its guest can be told, starts it, and resolves once its guest answers; one
   * that answers is left as it is. A machine in state `unknown` counts as one that does not answer. `mayStop` is asked right before each stop.
   */
  restart(machine: string, mayStop: () => Promise<boolean>, call: CallContext): Promise<MachineRestarted>;
  /** Only on a machine that is running: rejects with `not-running` otherwise, and does not start it. */
  exec(machine: string, command: RemoteCommand, call: CallContext): Promise<RemoteResult>;
}
