// Configuration: the schema of runward.yaml, the environment's variables, and loading both with every mistake at once.
// May import: domain, zod, yaml, node:fs; nothing here reads `process`.

import type { PackageSource } from '../domain/package.ts';
import type { RunnerTarget } from '../domain/runner.ts';
import type { Secret } from '../domain/secret.ts';
import type { DiskRules, Mode, QueueRules, StepTimeouts, VmAutostart } from './schema.ts';

/** How GitHub is asked, in the order in which the sources are looked at. A description: no file is read, no command run. */
export type Credentials =
  | {
      readonly kind: 'token';
      readonly variable: 'GH_TOKEN' | 'GITHUB_TOKEN';
      readonly token: Secret;
    }
  /** Read again for each use, so that a renewed token is picked up. */
  | { readonly kind: 'token-file'; readonly path: string }
  | {
      readonly kind: 'app';
      readonly appId: string;
      readonly installationId: number;
      readonly privateKeyFile: string;
    }
  /** `gh auth token --hostname HOSTNAME`, where `gh` is logged in. */
  | { readonly kind: 'gh'; readonly hostname: string };

/** The whole configuration, checked and frozen. Durations are in milliseconds; paths are absolute. */
export interface Config {
  /** The file that was read; `null` where the environment alone was enough. */
  readonly file: string | null;
  readonly mode: Mode;
  /** This computer's configured name; runners without a `host` of their own belong to it. */
  readonly host: string;
  readonly github: {
    /** Without a slash at the end, as is `serverUrl`. */
    readonly apiUrl: string;
    readonly serverUrl: string;
    readonly credentials: Credentials;
  };
  /** At least one. */
  readonly runners: readonly RunnerTarget[];
  /** Time between two health checks of a scope. */
  readonly health: { readonly everyMs: number };
  readonly vm: { readonly autostart: VmAutostart };
  readonly queue: QueueRules;
  readonly cache: { readonly maxAgeDays: number };
  readonly disk: DiskRules;
  /** Where packages of the runner come from. */
  readonly package: PackageSource;
  readonly budgets: {
    /** At most `max` recoveries of one runner within `perMs`. */
    readonly recoveries: { readonly max: number; readonly perMs: number };
    /** Failures in a row after which a check stops recovering a runner. */
    readonly breakerAfter: number;
  };
  readonly alerts: {
    readonly webhook: {
      readonly url: string;
      /** Read again for each message, so that a new secret is picked up. */
      readonly secretFile: string;
    } | null;
  };
  readonly retentionMs: number;
  /** Limits of single steps of a recovery that replace those of the policy. */
  readonly recovery: { readonly timeoutsMs: StepTimeouts };
  /** The Multipass client: a name on `PATH`, or an absolute path. */
  readonly multipass: string;
  /** Data folder: database, logs, `server.json`. */
  readonly home: string;
  readonly sealingKeyFile: string;
  /** What is allowed, but is probably not meant; one sentence each. */
  readonly warnings: readonly string[];
}
