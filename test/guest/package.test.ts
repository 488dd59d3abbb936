// The runner's package in a real guest: downloaded there or passed through the host, checked, and the first to go.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { PackageWanted } from '../../src/domain/package.ts';
import type { RoomMade } from '../../src/domain/room.ts';
import { openHostPackages } from '../../src/machine/host-packages.ts';
import type { Act } from '../../src/machine/port.ts';
import { ShellMachine } from '../../src/machine/shell-machine.ts';
import { MultipassTransport } from '../../src/machine/transports/multipass.ts';
import type { SandboxGitHub } from '../../src/sandbox/github/server.ts';
import type { Guest } from '../kit/guest/index.ts';
import { runnerPackage } from '../kit/guest/package.ts';
import { DIRECTORY, expectHealed, recover, recovered, SCOPE, world } from '../kit/guest-product.ts';
import { target as aTarget } from '../kit/observations.ts';
import { pausing } from '../kit/paused.ts';

const KEPT = '/var/lib/runward/packages';
const CALL = { signal: new AbortController().signal, heartbeat: () => {} };
const MIB = 1024 * 1024;

/** Three pieces of what goes through the host. */
const NEWEST = runnerPackage({ version: '2.337.0', weightBytes: 1.5 * MIB });
const FILENAME = 'actions-runner-linux-x64-2.337.0.tar.gz';

let github: SandboxGitHub;
let guest: Guest;
let machine: ShellMachine;
let folder: string;
let acts = 0;

const target = () => aTarget({ scope: SCOPE, machine: guest.name, registrationUrl: `${guest.githubUrl}/${SCOPE}` });
const kept = () => guest.must(`cd ${KEPT} 2>/dev/null && find . -mindepth 1 -printf '%P %u %m\\n' | sort; true`);
const downloads = (): readonly number[] => github.packageRequests.map(({ status }) => status);

async function anAct(): Promise<Act> {
  const taken = await machine.takeFence(target(), 'test', { isRecovery: true }, CALL);
  if (taken.kind !== 'taken') throw new Error(taken.kind);
  return { key: `package-${(acts += 1)}`, fence: taken.fence, deadlineMs: 120_000 };
}

function wanted(changes: Partial<PackageWanted> = {}): PackageWanted {
  const address = `${guest.githubUrl}/actions/runner/releases/download/v2.337.0/${FILENAME}`;
  return { version: '2.337.0', filename: FILENAME, address, sha256: NEWEST.sha256, leastFreeBytes: 10 * MIB, ...changes };
}

async function fetch(changes?: Partial<PackageWanted>) {
  return machine.fetchPackage(target(), await anAct(), wanted(changes), CALL);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'runward-package-'));
  ({ github, guest } = world);
  github.packages.offer(FILENAME, NEWEST.archive);
  const environment = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/root' };
  machine = new ShellMachine(new MultipassTransport({ multipass: guest.env['MULTIPASS'] ?? '', environment }));
});

afterAll(() => rmSync(folder, { recursive: true }));

const WHOLE = ['2.337.0 root 700', '2.337.0/package.tar.gz root 600', '2.337.0/sha256 root 600'].join('\n');

describe('a download in the guest', () => {
  beforeEach(() => guest.keepPackage());

  it('takes the place of the older one once its bytes are counted, and is kept', async () => {
    expect(await fetch()).toEqual({ kind: 'fetched', version: '2.337.0' });
    expect(await kept()).toBe(WHOLE);
    expect(await guest.must(`sha256sum <${KEPT}/2.337.0/package.tar.gz; cat ${KEPT}/2.337.0/sha256`)).toBe(
      `${NEWEST.sha256}  -\n${NEWEST.sha256}`,
    );
    const before = downloads().length;
    expect(await fetch()).toEqual({ kind: 'kept', version: '2.337.0' });
    expect(downloads()).toHaveLength(before);
    const { guest: seen } = await machine.observe(target(), CALL);
    expect(seen).toMatchObject({ value: { packageVersion: '2.337.0', architecture: 'x86_64' } });
  });

  it('is fetched anew if the one that is kept is not what it was', async () => {
    await fetch();
    await guest.must(`printf x >>${KEPT}/2.337.0/package.tar.gz`);
    expect(await fetch()).toEqual({ kind: 'fetched', version: '2.337.0' });
    expect(await kept()).toBe(WHOLE);
  });

  it('is refused with other bytes than GitHub names, and leaves the older one', async () => {
    expect(await fetch({ sha256: '0'.repeat(64) })).toEqual({
      kind: 'not-fetched',
      reason: 'wrong-checksum',
      evidence: `its SHA-256 is ${NEWEST.sha256}, and must be ${'0'.repeat(64)}`,
    });
    expect(await kept()).toMatch(/^2\.336\.0 root 700\n2\.336\.0\/package\.tar\.gz root 600\n2\.336\.0\/sha256 root 600$/);
  });

  it('that is cut off is gone on with', async () => {
    const before = downloads().length;
    const end = github.misbehave({ match: { path: FILENAME }, fault: { kind: 'cut' }, times: 2 });
    expect(await fetch()).toEqual({ kind: 'fetched', version: '2.337.0' });
    end();
    expect(downloads().slice(before)).toEqual([200, 206, 206]);
    expect(await kept()).toBe(WHOLE);
  });

  it('says so if there is no way to the address, and if it is none for a guest', async () => {
    const refused = { kind: 'not-fetched', reason: 'no-way' };
    const end = github.misbehave({ match: { path: FILENAME }, status: 503 });
    expect(await fetch()).toMatchObject({ ...refused, evidence: expect.stringMatching(/could not be downloaded in the guest: .*503/) });
    end();
    expect(await fetch({ address: `http://example.com/${FILENAME}` })).toMatchObject(refused);
    expect(await fetch({ address: 'file:///etc/shadow' })).toMatchObject(refused);
  });

  it('is not begun without the room for it', async () => {
    const before = downloads().length;
    expect(await fetch({ leastFreeBytes: 900 * 1024 * MIB })).toMatchObject({
      kind: 'not-fetched',
      reason: 'no-room',
      evidence: expect.stringMatching(/^\d+ MiB are free under \/var\/lib\/runward\/packages, and 921600 MiB must be$/),
    });
    expect(downloads()).toHaveLength(before);
    expect(await kept()).toMatch(/^2\.336\.0 /);
  });

  it('reads no settings of a user, and follows to no other protocol', async () => {
    await guest.must(
      `printf 'output = /etc/planted\\nurl = file:///etc/shadow\\n' >/root/.curlrc; cp /root/.curlrc /home/github-runner/.curlrc`,
    );
    expect(await fetch()).toMatchObject({ kind: 'fetched' });
    expect(await guest.must('ls /etc/planted 2>/dev/null; true')).toBe('');
    await guest.must('rm /root/.curlrc /home/github-runner/.curlrc');
  });
});

describe('a package through the host', () => {
  const archive = () => ({ path: join(folder, FILENAME), bytes: NEWEST.archive.length });

  beforeEach(async () => {
    await guest.keepPackage();
    writeFileSync(archive().path, NEWEST.archive);
  });

  it('comes in pieces that each client can pass, and its records go', async () => {
    const told: string[] = [];
    const call = { ...CALL, heartbeat: (doing: string) => void told.push(doing) };
    const act = await anAct();
    expect(await machine.passPackage(target(), act, wanted(), archive(), call)).toEqual({ kind: 'fetched', version: '2.337.0' });
    expect(await kept()).toBe(WHOLE);
    expect(told.filter((doing) => doing.startsWith('passing package'))).toContain(
      `passing package 2.337.0 of the runner to ${guest.name}: 0 % of 1.5 MiB`,
    );
    expect(await guest.must(`ls -d /var/lib/runward/act.${act.key}.* | wc -l`)).toBe('1');
    expect(await machine.passPackage(target(), await anAct(), wanted(), archive(), CALL)).toEqual({ kind: 'kept', version: '2.337.0' });
  });

  it('that was cut off is gone on with, also if a download had begun it', async () => {
    const half = NEWEST.archive.subarray(0, NEWEST.archive.length / 2);
    await guest.must(`umask 077; mkdir -p ${KEPT}/2.337.0.new && cat >${KEPT}/2.337.0.new/package.tar.gz`, { input: half });
    const told: string[] = [];
    const call = { ...CALL, heartbeat: (doing: string) => void told.push(doing) };
    expect(await machine.passPackage(target(), await anAct(), wanted(), archive(), call)).toMatchObject({ kind: 'fetched' });
    const shares = told.flatMap((doing) => /: (\d+) % of/.exec(doing)?.[1] ?? []).map(Number);
    expect(shares.filter((share) => share > 0 && share < 49)).toEqual([]);
    expect(await kept()).toBe(WHOLE);
  });

  it('is refused with other bytes, and leaves the older one', async () => {
    writeFileSync(archive().path, Buffer.alloc(NEWEST.archive.length, 'x'));
    expect(await machine.passPackage(target(), await anAct(), wanted(), archive(), CALL)).toMatchObject({
      kind: 'not-fetched',
      reason: 'wrong-checksum',
    });
    expect(await kept()).toMatch(/^2\.336\.0 /);
  });

  it('is downloaded by the host once', async () => {
    const packages = openHostPackages({ folder: join(folder, 'packages') });
    const offer = { ...wanted(), address: `${github.url}/actions/runner/releases/download/v2.337.0/${FILENAME}` };
    const before = downloads().length;
    const { path } = await packages.archiveOf(offer, CALL);
    expect(await packages.archiveOf(offer, CALL)).toEqual({ path, bytes: NEWEST.archive.length });
    expect(downloads()).toHaveLength(before + 1);
    expect(await machine.passPackage(target(), await anAct(), wanted(), { path, bytes: NEWEST.archive.length }, CALL)).toMatchObject({
      kind: 'fetched',
    });
  });
});

it('goes first if the disk is short', async () => {
  await guest.keepPackage();
  const room = { source: 'runner-package', unusedForMs: 0, journalBytes: 0 } as const;
  const made = (await pausing(machine).makeRoom(target(), await anAct(), room, CALL)) as RoomMade;
  expect(made).toMatchObject({ kind: 'made', items: 1 });
  expect(await kept()).toBe('');
  expect(await pausing(machine).makeRoom(target(), await anAct(), room, CALL)).toMatchObject({
    kind: 'nothing',
    why: 'no package of the runner is kept',
  });
});

describe('a recovery of a runner that has to be registered anew', () => {
  const lose = () =>
    guest.must(`rm -rf ${KEPT} && cd ${DIRECTORY} && rm .credentials .credentials_rsaparams && pkill -x Runner.Listener; true`);
  const files = () =>
    guest.must(`cd ${DIRECTORY} && sha256sum .runner .service && stat -c '%n %i %Y' .runner .service /etc/systemd/system/${world.unit}`);

  it('takes nothing away if no package can be had', async () => {
    const end = github.misbehave({ match: { path: FILENAME }, status: 404 });
    await lose();
    const before = await files();
    const tokens = github.registrationTokens().length;
    const report = await recover();
    expect(report).toMatchObject({
      outcome: 'failed',
      summary: expect.stringMatching(/nothing was touched: .*answered 404.*`package\.mirror`/),
    });
    expect(await files()).toBe(before);
    expect(github.registrationTokens()).toHaveLength(tokens);
    end();
  });

  it('has it passed through the host, which the guest can not reach, and registers with it', async () => {
    await recovered();
    await expectHealed();
    expect(await kept()).toBe(WHOLE);
  });
});
