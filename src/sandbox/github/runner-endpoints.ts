// Endpoints of runners: lists, versions, registration.

import { z } from 'zod';
import { notFound, paginate, refuseAsInvalid } from './answer.ts';
import type { Answer } from './answer.ts';
import { BOTH, ORGANIZATION, urlById } from './endpoint.ts';
import type { Asked, Endpoint } from './endpoint.ts';
import type { Runner } from './runner.ts';
import { serves } from './scope.ts';
import type { Scope } from './scope.ts';
import { downloadsJson, iso, labelsJson, runnerGroupJson, runnerJson } from './shapes.ts';
import type { World } from './world.ts';

export const RUNNER_ENDPOINTS: readonly Endpoint[] = [
  {
    method: 'GET',
    path: /^\/actions\/runners$/,
    kinds: BOTH,
    needs: ['runners', 'read'],
    answer: listRunners,
  },
  {
    method: 'GET',
    path: /^\/actions\/runners\/(\d+)$/,
    kinds: BOTH,
    needs: ['runners', 'read'],
    answer: getRunner,
  },
  {
    method: 'GET',
    path: /^\/actions\/runners\/downloads$/,
    kinds: BOTH,
    needs: ['runners', 'read'],
    answer: ({ world }) => ({ status: 200, body: downloadsJson(world.newestRunnerVersion, world.packages) }),
  },
  {
    method: 'GET',
    path: /^\/actions\/runners\/deprecations\/([^/]+)$/,
    kinds: BOTH,
    needs: ['runners', 'read'],
    answer: showDeprecation,
  },
  {
    method: 'GET',
    path: /^\/actions\/runner-groups$/,
    kinds: ORGANIZATION,
    needs: ['runners', 'read'],
    answer: listRunnerGroups,
  },
  {
    method: 'DELETE',
    path: /^\/actions\/runners\/(\d+)$/,
    kinds: BOTH,
    needs: ['runners', 'write'],
    answer: deleteRunner,
  },
  ...(['POST', 'PUT', 'DELETE'] as const).map((method): Endpoint => ({
    method,
    path: /^\/actions\/runners\/(\d+)\/labels$/,
    kinds: BOTH,
    needs: ['runners', 'write'],
    answer: changeLabels,
  })),
  {
    method: 'POST',
    path: /^\/actions\/runners\/registration-token$/,
    kinds: BOTH,
    needs: ['runners', 'write'],
    answer: createRegistrationToken,
  },
  {
    method: 'POST',
    path: /^\/actions\/runners\/remove-token$/,
    kinds: BOTH,
    needs: ['runners', 'write'],
    answer: createRegistrationToken,
  },
];

function listRunners({ world, request, scope, rest }: Asked): Answer {
  const name = world.ignoresNames ? undefined : request.query.get('name')?.toLowerCase();
  const listed = world.runnersOf(scope).filter(({ shown }) => shown.isUnlisted !== true);
  const runners = listed.filter((runner) => name === undefined || runner.name.toLowerCase() === name);
  const { page, headers } = paginate(runners, request.query, urlById(request, scope, rest));
  return {
    status: 200,
    headers,
    body: { total_count: runners.length, runners: page.map((runner) => toJson(world, runner)) },
  };
}

function getRunner({ world, scope, id }: Asked): Answer {
  const runner = runnerOf(world, scope, id);
  return runner ? { status: 200, body: toJson(world, runner) } : notFound();
}

function deleteRunner({ world, scope, id }: Asked): Answer {
  const runner = runnerOf(world, scope, id);
  if (!runner) return notFound();
  if (world.busyShown(runner)) return refuseAsInvalid(`Runner "${runner.name}" is currently running a job and cannot be deleted.`);
  world.deleteRunner(runner);
  return { status: 204 };
}

/** `POST` adds, `PUT` sets, `DELETE` takes all away: of the custom ones alone. */
function changeLabels({ world, request, scope, id }: Asked): Answer {
  const runner = runnerOf(world, scope, id);
  if (!runner) return notFound();
  if (request.method === 'DELETE') {
    world.relabel(runner, []);
  } else {
    const asked = LABELS_ASKED.safeParse(request.body);
    if (!asked.success || (request.method === 'POST' && asked.data.labels.length === 0)) return refuseAsInvalid('Validation Failed');
    world.relabel(runner, [...(request.method === 'POST' ? runner.labels : []), ...asked.data.labels]);
  }
  const labels = labelsJson(runner);
  return { status: 200, body: { total_count: labels.length, labels } };
}

const LABELS_ASKED = z.object({ labels: z.array(z.string().min(1).max(256)).max(100) });

/** Tokens for removal look and expire the same. */
function createRegistrationToken({ world, scope }: Asked): Answer {
  const { token, expiresAt } = world.createRegistrationToken(scope);
  return {
    status: 201,
    body: { token, expires_at: `${new Date(expiresAt).toISOString().slice(0, -1)}+00:00` },
  };
}

/** As measured: a version without a date has `null`, the date of registering is left out where there is none, and others are not found. */
function showDeprecation({ world, word: version }: Asked): Answer {
  if (compareVersions(version, world.newestRunnerVersion) > 0) return notFound();
  const { runsUntil, registersUntil } = world.deprecations.get(version) ?? {};
  return {
    status: 200,
    body: {
      runner_version: version,
      runtime_deprecates_at: runsUntil === undefined ? null : iso(runsUntil),
      ...(registersUntil === undefined ? {} : { registration_deprecates_at: iso(registersUntil) }),
    },
  };
}

function compareVersions(one: string, other: string): number {
  return one.localeCompare(other, 'en', { numeric: true });
}

/** `visible_to_repository` is its name without the owner. */
function listRunnerGroups({ world, request, scope, rest }: Asked): Answer {
  const wanted = request.query.get('visible_to_repository');
  const repository = wanted === null ? null : world.findScope(`${scope.name}/${wanted}`);
  const groups = scope.groups.filter((group) => repository === null || (repository !== undefined && serves(scope, group, repository)));
  const { page, headers } = paginate(groups, request.query, urlById(request, scope, rest));
  const body = { total_count: groups.length, runner_groups: page.map((group) => runnerGroupJson(group, scope, request.base)) };
  return { status: 200, headers, body };
}

function toJson(world: World, runner: Runner): object {
  return runnerJson(runner, world.statusShown(runner), world.busyShown(runner));
}

function runnerOf(world: World, scope: Scope, id: number): Runner | undefined {
  const runner = world.runners.get(id);
  return runner?.scope === scope ? runner : undefined;
}
