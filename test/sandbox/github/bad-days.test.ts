import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startGitHub, type SandboxGitHub } from '../../../src/sandbox/github/server.ts';
import { ask } from './ask.ts';

let github: SandboxGitHub;

beforeAll(async () => {
  github = await startGitHub({ repositories: ['octo/app'] });
});
afterAll(() => github.close());

describe('a bad day with a chance', () => {
  const meet = async (seed: number, chance = 0.2): Promise<readonly number[]> => {
    const end = github.misbehave({ match: { path: '/versions' }, status: 500, chance, seed });
    const statuses: number[] = [];
    for (let count = 0; count < 200; count += 1) statuses.push((await ask(github, 'GET /versions')).status);
    end();
    return statuses;
  };

  test('meets that part of the requests', async () => {
    const failed = (await meet(7)).filter((status) => status === 500).length;
    expect(failed).toBeGreaterThan(20);
    expect(failed).toBeLessThan(60);
    expect(new Set(await meet(7, 0))).toEqual(new Set([200]));
    expect(new Set(await meet(7, 1))).toEqual(new Set([500]));
  });

  test('meets the same ones with the same seed, whatever else is asked', async () => {
    const first = await meet(7);
    const end = github.misbehave({ match: { path: '/rate_limit' }, status: 500, chance: 0.5, seed: 7 });
    const rest = meet(7);
    for (let count = 0; count < 50; count += 1) await ask(github, 'GET /rate_limit');
    expect(await rest).toEqual(first);
    end();
    expect(await meet(8)).not.toEqual(first);
  });

  test('leaves the other requests to the next that matches', async () => {
    const ends = [github.misbehave({ status: 500, chance: 0.5 }), github.misbehave({ status: 503, times: 3 })];
    const statuses: number[] = [];
    for (let count = 0; count < 20; count += 1) statuses.push((await ask(github, 'GET /versions')).status);
    for (const end of ends) end();
    expect(statuses.filter((status) => status === 503)).toHaveLength(3);
    expect(statuses).toContain(200);
  });
});
