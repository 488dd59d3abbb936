import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startGitHub, type SandboxGitHub } from '../../../src/sandbox/github/server.ts';
import { ask } from './ask.ts';

let github: SandboxGitHub;

beforeAll(async () => {
  github = await startGitHub({ repositories: ['octo/app'], organizations: ['octo'] });
});
afterAll(() => github.close());

describe('a runner', () => {
  test('is deleted once, and never while it is busy', async () => {
    const { id } = github.addRunner('octo/app', { name: 'worker', shown: { busy: true } });
    const path = `/repos/octo/app/actions/runners/${id}`;
    expect(await ask(github, `DELETE ${path}`)).toMatchObject({
      status: 422,
      body: { message: 'Runner "worker" is currently running a job and cannot be deleted.' },
    });
    github.showRunner('octo/app', 'worker', {});
    const statuses = [await ask(github, `DELETE ${path}`), await ask(github, `DELETE ${path}`), await ask(github, `GET ${path}`)];
    expect(statuses.map(({ status }) => status)).toEqual([204, 404, 404]);
  });

  test('belongs to its scope alone', async () => {
    const { id } = github.addRunner('octo', { name: 'shared' });
    expect((await ask(github, `GET /repos/octo/app/actions/runners/${id}`)).status).toBe(404);
    expect(await ask(github, `GET /orgs/octo/actions/runners/${id}`)).toMatchObject({ status: 200, body: { name: 'shared' } });
  });

  test('that never connected is offline and has no version', async () => {
    const { id } = github.addRunner('octo/app', { name: 'unborn', labels: ['bpf'] });
    expect(await ask(github, `GET /repos/octo/app/actions/runners/${id}`)).toMatchObject({
      body: {
        status: 'offline',
        busy: false,
        version: null,
        labels: [
          { name: 'self-hosted', type: 'read-only' },
          { name: 'Linux', type: 'read-only' },
          { name: 'X64', type: 'read-only' },
          { name: 'bpf', type: 'custom' },
        ],
      },
    });
  });

  test('can be shown otherwise than it is', async () => {
    const { id } = github.addRunner('octo/app', { name: 'liar', shown: { status: 'online' } });
    expect(await ask(github, `GET /repos/octo/app/actions/runners/${id}`)).toMatchObject({
      body: { status: 'online', version: '2.336.0' },
    });
    expect(github.runners('octo/app').find(({ name }) => name === 'liar')).toEqual({
      id,
      name: 'liar',
      status: 'online',
      busy: false,
      labels: [],
    });
  });
});

describe('a version of the runner', () => {
  const deprecation = (version: string) => ask(github, `GET /orgs/octo/actions/runners/deprecations/${version}`);

  test('has dates where GitHub named them, and null until then', async () => {
    expect((await deprecation('2.337.0')).body).toEqual({ runner_version: '2.337.0', runtime_deprecates_at: null });
    github.retireRunnerVersion('2.329.0', { runsUntil: Date.parse('2026-01-23T17:10:35Z') });
    github.retireRunnerVersion('2.328.0', { runsUntil: 0, registersUntil: Date.parse('2026-09-28T00:00:00Z') });
    expect((await deprecation('2.329.0')).body).toEqual({ runner_version: '2.329.0', runtime_deprecates_at: '2026-01-23T17:10:35Z' });
    expect((await deprecation('2.328.0')).body).toMatchObject({ registration_deprecates_at: '2026-09-28T00:00:00Z' });
  });

  test('is the newest in the downloads, and known from then on', async () => {
    expect((await deprecation('2.400.0')).status).toBe(404);
    github.newestRunnerVersion = '2.400.0';
    const { body } = await ask<{ filename: string }[]>(github, 'GET /orgs/octo/actions/runners/downloads');
    expect(body.map(({ filename }) => filename)).toContain('actions-runner-linux-x64-2.400.0.tar.gz');
    expect((await deprecation('2.400.0')).status).toBe(200);
  });
});

test('runners of an organisation are in groups', async () => {
  github.addRunner('octo', { name: 'plain' });
  github.addRunner('octo', { name: 'special', group: 'builders' });
  const groups = await ask<{ runner_groups: { id: number; name: string }[] }>(github, 'GET /orgs/octo/actions/runner-groups');
  expect(groups.body.runner_groups.map(({ name }) => name)).toEqual(['Default', 'builders']);
  const { body } = await ask<{ runners: { runner_group_id: number }[] }>(github, 'GET /orgs/octo/actions/runners?name=special');
  expect(body.runners[0]?.runner_group_id).toBe(groups.body.runner_groups[1]?.id);
});

test('groups are for all repositories of the organisation, or for some of them', async () => {
  github.addRepository('octo/other');
  github.addRunner('octo', { name: 'grouped', group: 'builders' });
  github.setGroup('octo', 'builders', { repositories: ['octo/other'], isRestricted: true });
  const groupsOf = async (query: string): Promise<unknown> =>
    (await ask<{ runner_groups: object[] }>(github, `GET /orgs/octo/actions/runner-groups${query}`)).body.runner_groups;
  const builders = { name: 'builders', default: false, visibility: 'selected', restricted_to_workflows: true };
  expect(await groupsOf('')).toMatchObject([{ name: 'Default', default: true, visibility: 'all' }, builders]);
  expect(await groupsOf('?visible_to_repository=app')).toMatchObject([{ name: 'Default' }]);
  expect(await groupsOf('?visible_to_repository=other')).toMatchObject([{ name: 'Default' }, builders]);
  expect(await groupsOf('?visible_to_repository=none')).toEqual([]);
});
