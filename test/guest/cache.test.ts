// The acts on caches and disks among the files of a real Linux, and what they do to a runner that they hold for a moment.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { CacheDamage, CacheWanted, NamedDamage } from '../../src/domain/cache.ts';
import type { RoomSource } from '../../src/domain/room.ts';
import type { ForeignCleaner, GuestObservation, RunnerTarget } from '../../src/domain/runner.ts';
import type { Act } from '../../src/machine/port.ts';
import { ShellMachine } from '../../src/machine/shell-machine.ts';
import { type SandboxGitHub, startGitHub } from '../../src/sandbox/github/server.ts';
import { type Guest, startGuest } from '../kit/guest/index.ts';
import { CALL, SCOPE, targetIn, transportTo } from './shell-machine.ts';
import { pausing } from '../kit/paused.ts';

const DIRECTORY = '/opt/actions-runner';
const CACHE = `${DIRECTORY}/_work/_actions`;
const RUNNER = 'builder';
const DAY_S = 86_400;
const WEEK_MS = 7 * DAY_S * 1_000;
const MEGABYTES_4 = 4_194_304;

let github: SandboxGitHub;
let guest: Guest;
let machine: ShellMachine;
let target: RunnerTarget;
let fence: number;
let acts = 0;

/** A file as large as a measure of the disk can tell from its noise. */
const LARGE = `large() { mkdir -p "\${1%/*}" && fallocate -l ${MEGABYTES_4} "$1"; }`;
const ENTRY = `entry() { mkdir -p -- "$1" && echo 'name: one' >"$1/action.yml" && : >"$1.completed"; }`;

/** What has lain there for ten days. Nothing can make it so but the clock: no program sets the time of a file's last change. */
const OLD_FILES = `set -e
  ${LARGE}
  ${ENTRY}
  mkdir -p ${CACHE} && cd ${CACHE}
  for name in unused read logged; do entry octo/$name/v1; done
  mkdir _temp_0a1b && head -c 3000 /dev/zero >_temp_0a1b/5c6d.tar.gz
  cd ..
  large _tool/node/20.0.0/x64/node && : >_tool/node/20.0.0/x64.complete
  large _tool/node/22.0.0/x64/node && : >_tool/node/22.0.0/x64.complete
  large gadgets/gadgets/build && large widgets/widgets/build
  large _update/bin/Runner.Listener && : >_update.sh
  large /opt/tools/go/1.20.0/x64/go && mkdir -p /opt/tools/foreign/1.0.0
  cd ../_diag
  large ./Worker_20260101-000000-utc.log && echo old | tee Worker_20260102-000000-utc.log >SelfUpdate-20260101-000000.log.succeed
  mkdir -p pages && echo page >pages/1
  chown -R github-runner: ${CACHE}/.. . /opt/tools && chown root: /opt/tools/foreign/1.0.0`;
const FRESH_FILES = `set -e
  ${ENTRY}
  cd ${CACHE}
  entry octo/fresh/v1 && touch -d '-30 days' octo/fresh octo/fresh/v1
  cat octo/read/v1/action.yml ../_tool/node/22.0.0/x64/node ../widgets/widgets/build >/dev/null
  echo "Download to '${CACHE}/octo/logged/v1'" >../../_diag/Worker_20260103-000000-utc.log
  echo RUNNER_TOOL_CACHE=/opt/tools >>../../.env`;

/** While /run/hold names a group of what is moved away, its move says by /run/held that it waits. */
const HELD_MOVES = `cat >/usr/local/bin/mv <<'END'
#!/bin/bash
if [ -e /run/hold ] && [ "$1" = -t ] && [ "\${2##*/}" = "$(</run/hold)" ]; then
  : >/run/held
  while [ -e /run/hold ]; do sleep 0.1; done
fi
exec /bin/mv "$@"
END
chmod 755 /usr/local/bin/mv`;

beforeAll(async () => {
  github = await startGitHub({ repositories: [SCOPE], pollMs: 600_000, offlineAfterMs: 5_000 });
  guest = await startGuest({ github });
  await guest.installRunner({ scope: SCOPE, name: RUNNER, directory: DIRECTORY });
  machine = new ShellMachine(transportTo(guest));
  target = targetIn(guest, RUNNER, DIRECTORY);
  await guest.setClock(-10 * DAY_S);
  await guest.must(OLD_FILES);
  await guest.setClock(0);
  await guest.must(FRESH_FILES);
  await guest.must(HELD_MOVES);
  const taken = await machine.takeFence(target, 'cache', { isRecovery: true }, CALL);
  fence = taken.kind === 'taken' ? taken.fence : 0;
});
afterAll(async () => {
  await guest.close();
  await github.close();
});

afterEach(async () => {
  const leftovers = `find ${DIRECTORY} /opt/tools -name .runward-trash
    systemctl list-units --plain --no-legend 'runward-pause-*'
    ps -e -o stat=,args= | grep ^T || true`;
  expect(await guest.must(leftovers)).toBe('');
});

const anAct = (): Act => ({ key: `cache:${(acts += 1)}`, fence, deadlineMs: 600_000 });
const damaged = (...paths: string[]): CacheWanted => ({ kind: 'damaged', named: paths.map((path) => ({ path, lacks: 'entry' })) });
const list = (wanted: CacheWanted) => machine.listCache(target, wanted, CALL);
const remove = (wanted: CacheWanted) => pausing(machine).removeFromCache(target, anAct(), wanted, { force: false }, CALL);
const makeRoom = (source: RoomSource) =>
  pausing(machine).makeRoom(target, anAct(), { source, unusedForMs: WEEK_MS, journalBytes: 1_000_000 }, CALL);
const inCache = (script: string) => guest.must(`set -e; ${ENTRY}; cd ${CACHE}; ${script}`);
/** Versions of actions that are there. */
const versions = () => inCache('find . -mindepth 3 -maxdepth 3 -type d -printf "%P\\n" | sort');
const giveJob = (seconds: number) => github.giveJob(SCOPE, RUNNER, { seconds });

async function look(): Promise<GuestObservation> {
  const seen = await machine.observe(target, CALL);
  if (!seen.guest.known) throw new Error(seen.guest.why);
  return seen.guest.value;
}

async function until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const deadline = Date.now() + 60_000; !(await isSo()); await sleep(100)) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
  }
}

/** The runner's stand-in tells of a job's end once its poll has ended. */
const succeeds = (job: number) =>
  until(() => {
    github.endPolls(SCOPE, RUNNER);
    return github.job(job).result === 'Succeeded';
  }, 'the job has succeeded');

const takesJobs = () => until(() => github.isPolling(SCOPE, RUNNER), 'its long poll is open');

/** Begins an act that stops before it moves the first of what goes, or the one of this number, with the runner held. */
async function heldIn<T>(begin: () => Promise<T>, group = 0): Promise<{ readonly running: Promise<T> }> {
  await guest.must(`rm -f /run/held && echo ${group} >/run/hold`);
  const running = begin();
  await guest.must('for try in $(seq 300); do if [ -e /run/held ]; then exit 0; fi; sleep 0.1; done; exit 1');
  expect(await stateOfListener()).toMatch(/^T/);
  return { running };
}
const letGo = () => guest.must('rm /run/hold');
const stateOfListener = () => guest.must('ps -o stat= -C Runner.Listener');

it('lists workspaces, the largest first, and nothing of the runner', async () => {
  await guest.must(`head -c 10000 /dev/zero >${DIRECTORY}/_work/widgets/more`);
  const workspaces = await machine.listWorkspaces(target, CALL);
  expect(workspaces.map(({ name }) => name)).toEqual(['widgets', 'gadgets']);
  for (const { bytes } of workspaces) expect(bytes).toBeGreaterThanOrEqual(MEGABYTES_4);
});

it('what is unused goes, as its files and the logs of jobs say, and the cleaning is remembered', async () => {
  const unused: CacheWanted = { kind: 'unused', forMs: WEEK_MS };
  const gone = ['_temp_0a1b', 'octo/unused/v1'];
  await list(unused); // to look at it is no use of it
  const listed = await list(unused);
  expect(listed).toMatchObject({ entries: 5, foundEntries: 2 });
  expect(listed.found.map(({ path }) => path).toSorted()).toEqual(gone);
  for (const { unusedMs } of listed.found) expect((unusedMs ?? 0) / 1_000 / DAY_S).toBeCloseTo(10, 1);
  expect((await look()).cleanedAgoMs).toBeNull();

  const removed = await remove(unused);
  expect(removed).toMatchObject({ kind: 'removed', isAll: false, entries: 2, bytes: listed.foundBytes, damage: [] });
  expect('names' in removed && removed.names.toSorted()).toEqual(gone);
  expect(await versions()).toBe('octo/fresh/v1\nocto/logged/v1\nocto/read/v1');
  expect(await inCache('ls -A . octo/unused')).not.toMatch(/_temp|completed/);
  expect((await look()).cleanedAgoMs).toBeLessThan(60_000);
});

it('damage of each kind is told and removed, and nothing that is whole', async () => {
  await inCache(`for name in none locked immutable monorepo partly whole docker stays; do entry octo/$name/v1; done
    entry octo/none/v2 && mv octo/none/v1/action.yml octo/none/v1/README.md
    mkdir -p octo/empty/v1 && : >octo/empty/v1.completed
    mkdir -p octo/noted && : >octo/noted/v1.completed
    mkdir _temp_9c8d && echo cut >_temp_9c8d/1a2b.tar.gz
    mkdir -p octo/monorepo/v1/tools/lint && : >octo/monorepo/v1/tools/lint/index.js
    mv octo/docker/v1/action.yml octo/docker/v1/dockerfile
    chown -R github-runner: . && chmod 700 octo/locked/v1 && chown root: octo/locked/v1
    rm octo/immutable/v1/action.yml && : >octo/immutable/v1/other && chattr -R +i octo/immutable`);
  const usual = { owner: 'github-runner', mode: '755', isImmutable: false };
  const missing = { owner: null, mode: null, isImmutable: false };
  const looks: readonly (readonly [lacks: NamedDamage['lacks'], damage: CacheDamage])[] = [
    ['entry', { path: 'octo/none/v1', state: 'no-manifest', ...usual }],
    ['entry', { path: 'octo/empty/v1', state: 'empty', ...usual }],
    ['entry', { path: 'octo/locked/v1', state: 'unreadable', owner: 'root', mode: '700', isImmutable: false }],
    ['entry', { path: 'octo/immutable/v1', state: 'no-manifest', ...usual, isImmutable: true }],
    ['manifest', { path: 'octo/monorepo/v1/tools/lint', state: 'no-manifest', ...usual }],
    ['file', { path: 'octo/partly/v1/dist/index.js', state: 'missing', ...missing }],
    ['entry', { path: 'octo/noted/v1', state: 'missing', ...missing }],
    ['entry', { path: 'who/knows/v1', state: 'missing', ...missing }],
    ['entry', { path: '_temp_none/x', state: 'missing', ...missing }],
    // What is whole, whatever is said of it and of what lies in it.
    ['entry', { path: 'octo/whole/v1', state: 'whole', ...usual }],
    ['entry', { path: 'octo/whole/v1/nothing', state: 'whole', ...usual }],
    ['manifest', { path: 'octo/whole/v1', state: 'whole', ...usual }],
    ['file', { path: 'octo/whole/v1/action.yml', state: 'whole', ...usual }],
    ['entry', { path: 'octo/docker/v1', state: 'whole', ...usual }],
  ];
  const damage = looks.map(([, each]) => each);
  const wanted: CacheWanted = { kind: 'damaged', named: looks.map(([lacks, { path }]) => ({ path, lacks })) };
  expect(await list(wanted)).toMatchObject({ entries: 15, foundEntries: 7, damage });
  expect(await remove(wanted)).toMatchObject({ kind: 'removed', isAll: false, entries: 7, damage });
  const left = ['docker/v1', 'fresh/v1', 'logged/v1', 'none/v2', 'read/v1', 'stays/v1', 'whole/v1'].map((name) => `octo/${name}`);
  expect(await versions()).toBe(left.join('\n'));
  expect(await list(wanted)).toMatchObject({ foundEntries: 0 });
});

it('without names goes what is noted as whole and is empty or gone', async () => {
  await inCache(`mkdir -p octo/empty/v1 octo/unnoted/v1 octo/noted && : >octo/empty/v1.completed && : >octo/noted/v1.completed`);
  const paths = ['octo/empty/v1', 'octo/noted/v1'];
  expect((await look()).cache?.damaged).toBe(2);
  const removed = await remove(damaged());
  expect(removed).toMatchObject({ isAll: false, entries: 2, damage: [{ state: 'empty' }, { state: 'missing' }] });
  expect('names' in removed && removed.names.toSorted()).toEqual(paths);
  await inCache('rmdir octo/unnoted/v1 octo/unnoted octo/empty octo/noted; rm -rf _temp_9c8d octo/docker octo/whole');
});

describe('whatever a job has named or linked there', () => {
  const OUTSIDE = '/srv/outside';
  const outside = () => guest.must(`find ${OUTSIDE} | sort; find ${DIRECTORY} /root -name ran`);
  let before: string;
  beforeAll(async () => {
    await guest.must(`mkdir -p ${OUTSIDE}/name/v1/deep && touch ${OUTSIDE}/name/v1/{action.yml,deep/file} ${OUTSIDE}/name/v1.completed
      chown -R github-runner: ${OUTSIDE}`);
    before = await outside();
  });
  afterEach(async () => expect(await outside()).toBe(before));

  it('goes by its very name, and no link is followed', async () => {
    const names = ['a b', ' c ', '-rf', '--', `q"u'o`, 'new\nline', '$(touch ran)', 'a[$(touch ran)]', '*', '\\n'];
    const quoted = names.map((name) => `'${name.replaceAll("'", "'\\''")}'`).join(' ');
    await inCache(`for name in ${quoted}; do entry "odd/odd/$name" && rm "odd/odd/$name/action.yml"; done
      entry odd/holds/v1 && ln -s ${OUTSIDE} odd/holds/v1/out && rm odd/holds/v1/action.yml
      ln -s ${OUTSIDE} odd/holds/linked && ln -s ${OUTSIDE} owner`);
    const paths = [...names.map((name) => `odd/odd/${name}`), 'odd/holds/v1', 'odd/holds/linked'].toSorted();
    // As they are told to a person.
    const shown = paths.map((path) => path.replaceAll('\n', '\uFFFD')).toSorted();
    expect((await list(damaged(...paths))).found.map(({ path }) => path).toSorted()).toEqual(shown);
    const removed = await remove(damaged(...paths));
    expect(removed).toMatchObject({ isAll: false, entries: paths.length });
    expect('names' in removed && removed.names.toSorted()).toEqual(shown);
    expect(await inCache('find odd | sort; readlink owner')).toBe(`odd\nodd/holds\nodd/odd\n${OUTSIDE}`);
  });

  it('stays where it leads elsewhere by a link, with all the rest', async () => {
    expect(await remove(damaged('owner/name/v1'))).toMatchObject({ isAll: false, entries: 0, damage: [{ state: 'missing' }] });
    expect(await remove({ kind: 'all' })).toMatchObject({ isAll: true, entries: 5 });
    await guest.must(`! test -e ${CACHE}`);
  });

  it('goes as the link that the cache itself is', async () => {
    await guest.must(`ln -s ${OUTSIDE} ${CACHE}`);
    expect(await list({ kind: 'all' })).toMatchObject({ bytes: 0, entries: 0 });
    expect(await remove({ kind: 'all' })).toMatchObject({ kind: 'removed', isAll: true, entries: 0, names: [] });
    await guest.must(`! test -L ${CACHE}`);
  });
});

describe('room is made', () => {
  interface Source {
    readonly source: RoomSource;
    readonly prepare?: string;
    readonly items: unknown;
    /** At least. */
    readonly bytes?: number;
    readonly gone: string;
    readonly kept?: string;
    readonly nothing: string;
  }
  const SOURCES: readonly Source[] = [
    {
      source: 'diagnostic-logs',
      items: 3,
      gone: '_diag/Worker_20260101* _diag/Worker_20260102* _diag/pages/1',
      kept: '_diag/Worker_20260103* _diag/Runner_* _diag/SelfUpdate-*',
      nothing: 'no log is so old',
    },
    {
      source: 'temporary-files',
      prepare: 'large _work/_temp/of/a/job && : >_work/_temp/script.sh',
      items: 2,
      gone: '_work/_temp',
      nothing: 'there are no temporary files',
    },
    { source: 'update-leftovers', items: 2, gone: '_work/_update _work/_update.sh', nothing: 'no update has left anything' },
    {
      source: 'tool-caches',
      items: 2,
      gone: '_work/_tool/node/20.0.0 /opt/tools/go/1.20.0',
      kept: '_work/_tool/node/22.0.0/x64/node _work/_tool/node/22.0.0/x64.complete /opt/tools/foreign/1.0.0',
      nothing: 'no tool was unused for so long',
    },
    {
      source: 'journal',
      prepare: 'journalctl --rotate',
      items: expect.any(Number),
      bytes: 100_000,
      gone: '/var/log/journal/*/*@*',
      kept: '/var/log/journal/*/system.journal',
      nothing: 'the journal is no larger than it may be',
    },
    {
      source: 'apt',
      prepare: 'large /var/cache/apt/archives/tool_1_all.deb',
      items: 1,
      gone: '/var/cache/apt/archives/*.deb',
      nothing: 'apt keeps no package',
    },
    {
      source: 'workspaces',
      items: 1,
      gone: '_work/gadgets',
      kept: '_work/widgets/widgets/build _work/_tool',
      nothing: 'no workspace was unused for so long',
    },
  ];
  const namedBy = (patterns: string) =>
    guest.must(`cd ${DIRECTORY} && shopt -s nullglob && for each in ${patterns}; do echo "$each"; done`);

  it.each(SOURCES)('from $source, and then there is none', async (given) => {
    const { source, prepare = ':', items, bytes = MEGABYTES_4, gone, kept = '', nothing } = given;
    await guest.must(`set -e; ${LARGE}; cd ${DIRECTORY}; ${prepare}`);
    const keptBefore = await namedBy(kept);
    const made = await makeRoom(source);
    expect(made).toMatchObject({ kind: 'made', items, disk: { usedPercent: expect.any(Number) } });
    expect('bytes' in made && made.bytes).toBeGreaterThan(bytes * 0.9);
    expect(await guest.must(`cd ${DIRECTORY} && for each in ${gone}; do if [ -e "$each" ]; then echo "$each"; fi; done`)).toBe('');
    expect(await namedBy(kept)).toBe(keptBefore);
    expect(await makeRoom(source)).toMatchObject({ kind: 'nothing', why: nothing, disk: { usedPercent: expect.any(Number) } });
  });

  it('from docker without images that have a name and without volumes, while no container runs', async () => {
    expect(await makeRoom('docker')).toMatchObject({ kind: 'nothing', why: 'no docker here' });
    await guest.must(`set -e; ${LARGE}; large /var/lib/image && echo 0123456789ab >/run/containers && cat >/usr/local/bin/docker <<'END'
#!/bin/sh
echo "$*" >>/run/docker.asked
case $1 in
  ps) cat /run/containers ;;
  system)
    if rm /var/lib/image; then printf 'Deleted Images:\\nuntagged: sha256:0123456789ab\\ndeleted: sha256:ba9876543210\\n\\nTotal reclaimed space: 4MB\\n'; else echo 'Total reclaimed space: 0B'; fi
    ;;
esac
END
      chmod 755 /usr/local/bin/docker`);
    expect(await makeRoom('docker')).toMatchObject({ kind: 'nothing', why: 'a container runs' });
    await guest.must(': >/run/containers');
    const made = await makeRoom('docker');
    expect(made).toMatchObject({ kind: 'made', items: 2 });
    expect('bytes' in made && made.bytes).toBeGreaterThan(MEGABYTES_4 * 0.9);
    expect(await guest.must('cat /run/docker.asked')).toBe('ps -q\nps -q\nps -q\nps -q\nsystem prune -f --filter until=168h');
  });
});

it('touches nothing while a job runs, which ends well', async () => {
  const job = giveJob(600);
  await until(async () => (await guest.exec('pgrep -x Runner.Worker')).exitCode === 0, 'the job runs');
  await guest.must(`mkdir -p ${CACHE}/octo/used/v1 ${DIRECTORY}/_work/_temp && touch ${DIRECTORY}/_work/_temp/script.sh`);
  const files = () => guest.must(`cd ${DIRECTORY} && find _work | sort`);
  const before = await files();
  for (const refused of [await remove({ kind: 'all' }), await makeRoom('temporary-files'), await makeRoom('journal')])
    expect(refused).toEqual({ kind: 'refused-busy', evidence: expect.stringContaining('Runner.Worker') });
  expect(await files()).toBe(before);
  await guest.must('pkill -USR1 -x Runner.Worker');
  await succeeds(job);
});

it('a job that arrives while the runner is held waits, and ends well', async () => {
  await takesJobs();
  const { running } = await heldIn(() => remove(damaged('octo/used/v1')));
  const job = giveJob(1);
  await until(() => github.runners(SCOPE)[0]!.busy, 'GitHub has given the job');
  expect(await guest.must('pgrep -x Runner.Worker || true')).toBe('');
  await letGo();
  expect(await running).toMatchObject({ kind: 'removed', entries: 1 });
  await succeeds(job);
});

it('a runner whose act was killed is let go by its guest, and the next attempt goes on with what was left', async () => {
  const paths = ['octo/first/v1', 'octo/second/v1'];
  await inCache('mkdir -p octo/first/v1 octo/second/v1');
  await takesJobs();
  const { running } = await heldIn(() => remove(damaged(...paths)), 1);
  const failure = running.catch((reason: unknown) => reason);
  await guest.must('systemctl kill --signal=KILL runward-act.service');
  expect(await failure).toMatchObject({ kind: 'act-failed', message: expect.stringContaining('killed KILL') });
  await letGo();
  expect(await versions()).toBe('octo/second/v1');
  expect(await stateOfListener()).toMatch(/^T/);
  const job = giveJob(1);
  const [watch = '', ...others] = (await guest.must(`systemctl list-units --plain --no-legend 'runward-pause-*' | cut -d' ' -f1`)).split(
    '\n',
  );
  expect(others).toEqual([]);
  await guest.must(`systemctl kill --signal=KILL ${watch}`);
  await succeeds(job);

  const damage = paths.map((path) => ({ path, state: 'empty' }));
  expect(await remove(damaged(...paths))).toMatchObject({ isAll: false, entries: 1, names: ['octo/second/v1'], damage });
  expect(await versions()).toBe('');
});

describe('what cleans besides Runward', () => {
  const FROM_SCRIPT = { file: '/opt/clean.sh', line: 2 };
  const SEEN: readonly (readonly [what: string, file: string, text: string, seen: ForeignCleaner])[] = [
    ['a script of cron', '/etc/cron.daily/clean', `  rm -rf ${CACHE}/*`, { file: '/etc/cron.daily/clean', line: 1 }],
    ['the script of a crontab', '/var/spool/cron/crontabs/github-runner', `0 3 * * * /opt/clean.sh`, FROM_SCRIPT],
    ['the script of a timer', '/etc/systemd/system/clean.service', `[Service]\nExecStart=-/opt/clean.sh`, FROM_SCRIPT],
  ];

  it.each(SEEN)('is seen in %s', async (_, file, text, seen) => {
    await guest.must(`mkdir -p /etc/cron.daily /var/spool/cron/crontabs && cat >${file}`, { input: `${text}\n` });
    await guest.must('cat >/opt/clean.sh', { input: `#!/bin/sh\ncd ${DIRECTORY} && rm -rf _work/_temp/*\n` });
    expect((await look()).foreignCleaner).toEqual(seen);
    await guest.must(`rm ${file}`);
  });

  it('is not seen in ordinary jobs of cron', async () => {
    await guest.must(`mkdir -p /var/spool/cron/crontabs
      echo '/usr/sbin/logrotate /etc/logrotate.conf' >/etc/cron.daily/logrotate
      echo 'find /tmp /var/tmp -mtime +10 -delete; rm -f /var/cache/apt/archives/*.deb' >/etc/cron.daily/clean
      echo '0 3 * * * root rm -rf /srv/_actions /opt/another-runner/_work/_temp; /opt/back-up.sh' >/etc/cron.d/own
      echo 'tar -cf /srv/back-up.tar ${DIRECTORY}/_work/_actions' >/opt/back-up.sh
      echo '# rm -rf ${CACHE}' >/var/spool/cron/crontabs/root`);
    expect(await look()).not.toHaveProperty('foreignCleaner');
  });
});

it('a hundred thousand files go, and the runner is held for a moment only', async () => {
  await guest.must(
    `mkdir -p ${CACHE}/octo/many/v1 && cd ${CACHE}/octo/many/v1 && : >../v1.completed
    perl -e 'for (1..20) { mkdir $_; chdir $_; open my $file, ">", 1; for (2..5000) { link 1, $_ or die $! } chdir ".." }'`,
  );
  const held = guest.must(`pid=$(pgrep -x Runner.Listener)
    exec {nothing}<> <(:)
    is_held() { read -r stat </proc/$pid/stat && [[ \${stat##*)} == ' T'* ]]; }
    until is_held; do read -r -t 0.02 -u "$nothing"; done
    since=\${EPOCHREALTIME/./}
    while is_held; do read -r -t 0.02 -u "$nothing"; done
    echo $(((\${EPOCHREALTIME/./} - since) / 1000))`);
  expect(await remove({ kind: 'all' })).toMatchObject({ kind: 'removed', isAll: true, entries: 1, names: ['octo/many/v1'] });
  expect(Number(await held)).toBeLessThan(20_000);
  await guest.must(`! test -e ${CACHE}`);
});
