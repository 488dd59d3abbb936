// The parts of GitHub's answers that are used, checked; fields unknown here are left aside.

import { z } from 'zod';
import { lineOf, nameOf } from '../domain/plain.ts';
import type { Retirement } from '../domain/pass.ts';
import type { Run } from '../domain/queue/run.ts';
import { ADDED_LABELS } from '../domain/situation.ts';
import type { RegisteredRunner } from '../domain/runner.ts';
import { Secret } from '../domain/secret.ts';
import type { RegistrationToken } from './port.ts';

/** All text of an answer is made plain here. GitHub's own words, such as a status; what people name; and addresses, in characters. */
const name = (most: number) => z.string().transform((text) => nameOf(text, most));
const Word = name(64);
const Name = name(256);
const Url = name(500);

/** More of them tell nothing. */
const MOST_LABELS = 100;
const Labels = z.array(Name).transform((labels) => labels.slice(0, MOST_LABELS));

/** Of an annotation, as far as a runner's own words go. In characters. */
const MESSAGE_LENGTH = 2_000;

/** Epoch milliseconds. */
const Time = z
  .string()
  .pipe(z.coerce.date())
  .transform((date) => date.getTime());

const RunnerFields = z.object({
  id: z.int(),
  name: Name,
  status: Word,
  busy: z.boolean(),
  labels: z.array(z.object({ name: Name, type: Word.nullish() })),
  version: Word.nullish(),
  ephemeral: z.boolean().nullish(),
});

/** https://docs.github.com/rest/actions/self-hosted-runners#get-a-self-hosted-runner-for-a-repository */
export const Runner: z.ZodType<RegisteredRunner> = RunnerFields.transform(toRunner);

export const Runners: z.ZodType<{ readonly runners: readonly RegisteredRunner[] }> = z.object({ runners: z.array(Runner) });

export interface ListedRunner {
  readonly runner: RegisteredRunner;
  readonly groupId: number | null;
}

const ListedRunner: z.ZodType<ListedRunner> = RunnerFields.extend({ runner_group_id: z.int().nullish() }).transform(
  ({ runner_group_id, ...fields }) => ({ runner: toRunner(fields), groupId: runner_group_id ?? null }),
);

export const RunnerList: z.ZodType<{ readonly total: number; readonly listed: readonly ListedRunner[] }> = z
  .object({ total_count: z.int().min(0), runners: z.array(ListedRunner) })
  .transform(({ total_count, runners }) => ({ total: total_count, listed: runners }));

/** https://docs.github.com/rest/users/users#get-the-authenticated-user */
export const OwnUser: z.ZodType<{ readonly login: string }> = z.object({ login: Word });

/** `permissions`: what the token's user may do there; GitHub leaves it out for some tokens. */
export const SeenRepository: z.ZodType<{ readonly isPublic: boolean; readonly isAdmin: boolean; readonly mayPush: boolean }> = z
  .object({ private: z.boolean(), permissions: z.object({ admin: z.boolean(), push: z.boolean() }).nullish() })
  .transform(({ private: isPrivate, permissions }) => ({
    isPublic: !isPrivate,
    isAdmin: permissions?.admin ?? false,
    mayPush: permissions?.push ?? false,
  }));

export const DefaultBranch: z.ZodType<string | null> = z
  .object({ default_branch: Name.nullish() })
  .transform(({ default_branch }) => default_branch ?? null);

/** Organisations alone have them. */
export const RunnerGroups: z.ZodType<{ readonly groups: readonly { readonly id: number; readonly name: string }[] }> = z
  .object({ runner_groups: z.array(z.object({ id: z.int(), name: Name })) })
  .transform(({ runner_groups }) => ({ groups: runner_groups }));

/** Groups that a repository may use; one that is for some workflows alone is not for all runs of it. */
export const UsableGroups: z.ZodType<readonly { readonly id: number; readonly name: string; readonly isDefault: boolean }[]> = z
  .object({
    runner_groups: z.array(z.object({ id: z.int(), name: Name, default: z.boolean(), restricted_to_workflows: z.boolean().nullish() })),
  })
  .transform(({ runner_groups }) =>
    runner_groups
      .filter(({ restricted_to_workflows }) => restricted_to_workflows !== true)
      .map(({ id, name, default: isDefault }) => ({ id, name, isDefault })),
  );

/** The version stands in the name alone, such as `actions-runner-linux-x64-2.337.0.tar.gz`; all systems' are the same. */
export const NewestVersion: z.ZodType<string | null> = z
  .array(z.object({ filename: Name }))
  .transform(
    (downloads) => downloads.map(({ filename }) => /-(\d+(?:\.\d+)+)\.(?:tar\.gz|zip)$/.exec(filename)?.[1]).find(Boolean) ?? null,
  );

/** In the form that has nothing odd in it. */
const WebAddress = z.url({ protocol: /^https?$/ }).transform((address) => new URL(address).href);

/** Packages of the runner for Linux; older servers have no checksums. https://docs.github.com/rest/actions/self-hosted-runners#list-runner-applications-for-a-repository */
export const RunnerDownloads: z.ZodType<readonly PackageListed[]> = z
  .array(
    z.object({
      os: Word,
      architecture: Word,
      filename: Name,
      download_url: WebAddress,
      sha256_checksum: Name.nullish(),
    }),
  )
  .transform((downloads) =>
    downloads
      .filter(({ os }) => os === 'linux')
      .map(({ architecture, filename, download_url: address, sha256_checksum }) => ({
        architecture,
        filename,
        address,
        sha256: sha256In(sha256_checksum ?? ''),
      })),
  );

/** A package as GitHub lists it; `sha256` in hex, `null` where GitHub does not say it. */
export interface PackageListed {
  readonly architecture: string;
  readonly filename: string;
  readonly address: string;
  readonly sha256: string | null;
}

/** https://docs.github.com/rest/releases/releases#get-a-release-by-tag-name */
export const ReleaseAssets: z.ZodType<readonly { readonly filename: string; readonly address: string; readonly sha256: string | null }[]> =
  z
    .object({ assets: z.array(z.object({ name: Name, browser_download_url: WebAddress, digest: Name.nullish() })) })
    .transform(({ assets }) =>
      assets.map(({ name, browser_download_url: address, digest }) => ({ filename: name, address, sha256: sha256In(digest ?? '') })),
    );

/** GitHub leaves out a date that it does not know, or sends `null`; a version that it does not know at all is a 404. */
export const Deprecation: z.ZodType<Omit<Retirement, 'version'>> = z
  .object({ runtime_deprecates_at: Time.nullish(), registration_deprecates_at: Time.nullish() })
  .transform(({ runtime_deprecates_at, registration_deprecates_at }) => ({
    runsUntil: runtime_deprecates_at ?? null,
    registersUntil: registration_deprecates_at ?? null,
  }));

/** https://docs.github.com/rest/actions/workflow-runs#get-a-workflow-run */
export const WorkflowRun: z.ZodType<Run> = z
  .object({
    id: z.int(),
    workflow_id: z.int(),
    name: Name.nullish(),
    path: name(1_024),
    event: Word,
    status: Word.nullable(),
    conclusion: Word.nullish(),
    repository: z.object({ id: z.int() }).nullish(),
    head_repository: z.object({ id: z.int() }).nullish(),
    actor: z.object({ login: Word }).nullish(),
    head_branch: Name.nullable(),
    head_sha: Word,
    pull_requests: z.array(z.object({ number: z.int() })).nullish(),
    run_attempt: z.int().nullish(),
    created_at: Time,
    run_started_at: Time.nullish(),
    updated_at: Time.nullish(),
  })
  .transform((run) => ({
    id: run.id,
    workflowId: run.workflow_id,
    workflow: run.name ?? fileNameOf(run.path),
    event: run.event,
    status: run.status ?? 'unknown',
    conclusion: run.conclusion ?? null,
    headRepositoryId: run.head_repository?.id ?? null,
    isFromFork: run.head_repository == null || (run.repository != null && run.repository.id !== run.head_repository.id),
    actor: run.actor?.login ?? null,
    branch: run.head_branch,
    pullRequests: (run.pull_requests ?? []).map(({ number }) => number),
    sha: run.head_sha,
    attempt: run.run_attempt ?? 1,
    createdAt: run.created_at,
    startedAt: run.run_started_at ?? null,
    updatedAt: run.updated_at ?? null,
  }));

export const RunList: z.ZodType<{ readonly total: number; readonly runs: readonly Run[] }> = z
  .object({ total_count: z.int().min(0), workflow_runs: z.array(WorkflowRun) })
  .transform(({ total_count, workflow_runs }) => ({ total: total_count, runs: workflow_runs }));

export interface Job {
  readonly id: number;
  /** Counted from 1; a re-run's jobs have the next one. */
  readonly attempt: number;
  /** GitHub's word. */
  readonly status: string;
  /** GitHub's word once it is completed. */
  readonly conclusion: string | null;
  readonly labels: readonly string[];
  /** When it began to wait, epoch milliseconds. */
  readonly createdAt: number;
  /** Likewise when it started. Of a job that waits it is not. */
  readonly startedAt: number | null;
  readonly name: string;
  /** Name of the runner that has it; `null` where none has. */
  readonly runner: string | null;
  /** Id of its check run. */
  readonly checkRun: number | null;
  /** Name of its check run in GraphQL. */
  readonly nodeId: string | null;
  /** Its page. */
  readonly url: string | null;
}

/** All that is asked for jobs share this one form, so that GitHub's 304 serves them all. */
export const Jobs: z.ZodType<{ readonly total: number; readonly jobs: readonly Job[] }> = z
  .object({
    total_count: z.int().min(0),
    jobs: z.array(
      z
        .object({
          id: z.int(),
          run_attempt: z.int().nullish(),
          status: Word,
          conclusion: Word.nullish(),
          labels: Labels,
          created_at: Time,
          started_at: Time.nullish(),
          name: Name,
          runner_name: Name.nullish(),
          check_run_url: Url.nullish(),
          node_id: Name.nullish(),
          html_url: Url.nullish(),
        })
        .transform((job) => ({
          id: job.id,
          attempt: job.run_attempt ?? 1,
          status: job.status,
          conclusion: job.conclusion ?? null,
          labels: job.labels,
          createdAt: job.created_at,
          startedAt: job.started_at ?? null,
          name: job.name,
          runner: job.runner_name === '' ? null : (job.runner_name ?? null),
          checkRun: checkRunOf(job.check_run_url ?? ''),
          nodeId: job.node_id ?? null,
          url: job.html_url ?? null,
        })),
    ),
  })
  .transform(({ total_count, jobs }) => ({ total: total_count, jobs }));

/** Level and message may both be missing. https://docs.github.com/rest/checks/runs#list-check-run-annotations */
export const Annotations: z.ZodType<readonly { readonly level: string | null; readonly message: string }[]> = z
  .array(z.object({ annotation_level: Word.nullish(), message: z.string().nullish() }))
  .transform((annotations) =>
    annotations.map(({ annotation_level, message }) => ({
      level: annotation_level ?? null,
      message: lineOf(message ?? '', MESSAGE_LENGTH),
    })),
  );

/** Those of check runs in the order of asking, by GraphQL. https://docs.github.com/graphql/reference/objects#checkannotation */
export const AnnotationsOfChecks: z.ZodType<readonly (readonly { readonly level: string | null; readonly message: string }[])[]> = z
  .object({
    nodes: z.array(
      z.object({
        annotations: z.object({ nodes: z.array(z.object({ annotationLevel: Word.nullish(), message: z.string().nullish() })) }),
      }),
    ),
  })
  .transform(({ nodes }) =>
    nodes.map(({ annotations }) =>
      annotations.nodes.map(({ annotationLevel, message }) => ({
        level: annotationLevel?.toLowerCase() ?? null,
        message: lineOf(message ?? '', MESSAGE_LENGTH),
      })),
    ),
  );

/** Names in a folder; `null` for what is none: a file, a link, a submodule. https://docs.github.com/rest/repos/contents */
export const FolderNames: z.ZodType<readonly string[] | null> = z.union([
  z.array(z.object({ name: Name })).transform((entries) => entries.map(({ name }) => name)),
  z.object({ type: z.string() }).transform(() => null),
]);

/** Where GitHub refers to. */
export const Referral: z.ZodType<{ readonly location: string }> = z.object({ location: z.url() });

/** Full names, such as `refs/tags/v1`. https://docs.github.com/rest/git/refs#list-matching-references */
export const Refs: z.ZodType<readonly string[]> = z.array(z.object({ ref: name(1_024) })).transform((refs) => refs.map(({ ref }) => ref));

/** Of a run, or of a repository. https://docs.github.com/rest/actions/concurrency-groups */
export const ConcurrencyGroups: z.ZodType<readonly string[]> = z
  .object({ concurrency_groups: z.array(z.object({ group_name: name(1_024) })) })
  .transform(({ concurrency_groups }) => concurrency_groups.map(({ group_name }) => group_name));

/** Data is checked by whoever asks; of errors it counts that there are some. https://spec.graphql.org/October2021/#sec-Response-Format */
export const GraphqlAnswer: z.ZodType<{ readonly data: unknown; readonly hasErrors: boolean }> = z
  .object({ data: z.unknown(), errors: z.array(z.unknown()).nullish() })
  .transform(({ data, errors }) => ({ data, hasErrors: (errors ?? []).length > 0 }));

/** Registration tokens and App installations' tokens alike. */
export const ExpiringToken: z.ZodType<RegistrationToken> = z
  .object({ token: z.string().min(1), expires_at: z.string().pipe(z.coerce.date()) })
  .transform(({ token, expires_at }) => ({ token: new Secret(token), expiresAt: expires_at.getTime() }));

/** A list of which only the number counts. */
export const Counted: z.ZodType<{ readonly total_count: number }> = z.object({ total_count: z.int().min(0) });

/** `path` may end in a ref, as in `.github/workflows/ci.yml@main`. */
function fileNameOf(path: string): string {
  return path.replace(/@.*$/, '').split('/').at(-1) ?? path;
}

/** Hex digits, also after `sha256:`. */
function sha256In(checksum: string): string | null {
  return /^(?:sha256:)?([0-9a-f]{64})$/i.exec(checksum)?.[1]?.toLowerCase() ?? null;
}

/** https://docs.github.com/rest/actions/self-hosted-runners#list-labels-for-a-self-hosted-runner-for-a-repository */
export const RunnerLabels: z.ZodType<{ readonly custom: readonly string[] }> = z
  .object({ labels: RunnerFields.shape.labels })
  .transform(({ labels }) => ({ custom: customOf(labels) }));

function customOf(labels: z.infer<typeof RunnerFields>['labels']): readonly string[] {
  const isCustom = ({ name, type }: (typeof labels)[number]): boolean =>
    type == null ? !ADDED_LABELS.includes(name.toLowerCase()) : type === 'custom';
  return labels
    .filter(isCustom)
    .map(({ name }) => name)
    .slice(0, MOST_LABELS);
}

/** The last part of its address. */
function checkRunOf(address: string): number | null {
  const id = /\/check-runs\/(\d+)$/.exec(address)?.[1];
  return id === undefined ? null : Number(id);
}

function toRunner({ labels, version, ephemeral, ...runner }: z.infer<typeof RunnerFields>): RegisteredRunner {
  const custom = customOf(labels);
  return {
    ...runner,
    labels: labels.slice(0, MOST_LABELS).map((label) => label.name),
    ...(custom.length === 0 ? {} : { customLabels: custom }),
    version: version ?? null,
    ...(ephemeral === true ? { isEphemeral: true } : {}),
    group: null,
  };
}
