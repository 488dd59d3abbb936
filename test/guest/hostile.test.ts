// A job of the runner's user, without sudo, that leaves files and processes behind and lets Runward come: it becomes nobody else, gets nothing that is
// root's, learns no token, and blinds nobody. Whether Runward heals meanwhile, refuses or fails is its own business here.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { GuestObservation, RunnerTarget } from '../../src/domain/runner.ts';
import { type Act, MachineError } from '../../src/machine/port.ts';
import { ShellMachine } from '../../src/machine/shell-machine.ts';
import { type SandboxGitHub, startGitHub } from '../../src/sandbox/github/server.ts';
import { type Attacker, attackerIn, BAIT, PROGRAM, USER } from '../kit/guest/attacker.ts';
import { type Guest, startGuest } from '../kit/guest/index.ts';
import { CALL, registrationToken, SCOPE, targetIn, transportTo } from './shell-machine.ts';
import { pausing } from '../kit/paused.ts';

const DIRECTORY = '/opt/actions-runner';
/** Where GitHub's own guide puts it, below a folder of the user's. */
const AT_HOME = `/home/${USER}/actions-runner`;
const NEIGHBOUR = '/opt/neighbour';
const UNFORCED = { force: false };

let github: SandboxGitHub;
let guest: Guest;
let machine: ShellMachine;
let target: RunnerTarget;
let attacker: Attacker;
let unit: string;
let filesOfRoot: readonly string[];
let fence: number;
let acts = 0;

async function begin(directory = DIRECTORY): Promise<void> {
  github = await startGitHub({ repositories: [SCOPE], pollMs: 1_000, offlineAfterMs: 2_000 });
  guest = await startGuest({ github });
  ({ unit } = await guest.installRunner({ scope: SCOPE, name: 'builder', directory }));
  machine = new ShellMachine(transportTo(guest), { settleSeconds: 1, startSeconds: 4 });
  target = targetIn(guest, 'builder', directory);
  attacker = await attackerIn(guest, directory);
  await guest.must(`cp -a ${directory} /var/backups/runner && cp -a /etc/systemd/system/${unit} /var/backups/`);
  const taken = await machine.takeFence(target, 'hostile', { isRecovery: true }, CALL);
  fence = taken.kind === 'taken' ? taken.fence : 0;
}

/** As it was installed, but for what GitHub knows. */
const asInstalled = (): Promise<string> =>
  guest.must(`systemctl stop ${unit} || true
    rm -rf ${target.directory} && cp -a /var/backups/runner ${target.directory} && cp -a /var/backups/${unit} /etc/systemd/system/
    systemctl daemon-reload && systemctl -q enable ${unit} && systemctl start ${unit}`);

beforeEach(async () => {
  filesOfRoot = await attacker.filesOfRoot();
});

async function end(): Promise<void> {
  await guest.close();
  await github.close();
}

const anAct = (): Act => ({ key: `hostile:${(acts += 1)}`, fence, deadlineMs: 20_000 });
const inRunner = (script: string): Promise<string> => attacker.does(`cd ${target.directory} && ${script}`);

/** A step that may be refused or fail. */
async function tried<T>(step: Promise<T>): Promise<T | MachineError> {
  return step.catch((error: unknown) => {
    if (error instanceof MachineError) return error;
    throw error;
  });
}

const setAside = () => tried(pausing(machine).setConfigurationAside(target, anAct(), UNFORCED, CALL));
const configure = async () => tried(machine.configure(target, anAct(), await registrationToken(github), CALL));
const startService = () => tried(machine.startService(target, anAct(), CALL));
const restartService = () => tried(pausing(machine).restartService(target, anAct(), UNFORCED, CALL));
const restore = () => tried(pausing(machine).restoreConfiguration(target, anAct(), CALL));
const discard = () => tried(machine.discardAside(target, anAct(), CALL));
const clean = () => tried(pausing(machine).removeFromCache(target, anAct(), { kind: 'all' }, UNFORCED, CALL));
const makeRoom = () =>
  tried(pausing(machine).makeRoom(target, anAct(), { source: 'diagnostic-logs', unusedForMs: 0, journalBytes: 1e9 }, CALL));
const drain = () => tried(machine.markDrained(target, anAct(), { by: 'person', reason: 'the disk is to be changed' }, CALL));
const resume = () => tried(machine.unmarkDrained(target, { ...anAct(), drainSeen: 'person' }, CALL));
const stop = () => tried(pausing(machine).stopService(target, anAct(), CALL));

async function look(): Promise<GuestObservation> {
  const seen = await machine.observe(target, CALL);
  if (!seen.guest.known) throw new Error(seen.guest.why);
  return seen.guest.value;
}

/** What Runward does to a runner, one after the other. */
async function everything(): Promise<void> {
  for (const step of [
    drain,
    stop,
    resume,
    startService,
    clean,
    makeRoom,
    setAside,
    configure,
    startService,
    setAside,
    restore,
    restartService,
  ])
    await step();
  await machine.observe(target, CALL);
}

/** What holds whatever a job does. */
async function expectHarmless(): Promise<void> {
  await attacker.end();
  expect.soft(await attacker.ranAs(), 'what ran as somebody else').toBe('');
  const now = await attacker.filesOfRoot();
  const changed = [...now.filter((line) => !filesOfRoot.includes(line)), ...filesOfRoot.filter((line) => !now.includes(line))];
  expect.soft(changed, "what of root's changed hands or content").toEqual([]);
  expect.soft(await guest.must(`systemctl show --value -p User ${unit} || true`), 'whom the service runs as').toMatch(/^(|github-runner)$/);
  const tokens = github.registrationTokens();
  const seen = await attacker.tokens();
  expect
    .soft(
      tokens.filter((token) => seen.includes(token)),
      'tokens within reach of the user',
    )
    .toEqual([]);
  expect.soft(await attacker.findsInFiles(tokens), 'tokens in files that the user can read').toEqual([]);
}

/** A unit that runs a program of the user's as root. */
const ROOTS_UNIT = `[Unit]\nDescription=of a job\n[Service]\nExecStart=${PROGRAM}\nWorkingDirectory={{RunnerRoot}}\n[Install]\nWantedBy=multi-user.target\n`;

describe('root runs nothing of the runner', () => {
  beforeAll(() => begin());
  afterAll(end);
  afterEach(expectHarmless);

  it('a svc.sh of its own, in a directory without .service', async () => {
    await inRunner(`rm .service && sed -i '2i ${PROGRAM}' svc.sh && pkill -x runsvc.sh`);
    await guest.must(`until ! systemctl -q is-active ${unit}; do sleep 0.1; done`);
    await startService();
  });

  it('a template and a runsvc.sh of its own', async () => {
    await inRunner(`printf '${ROOTS_UNIT.replaceAll('\n', '\\n')}' >bin/actions.runner.service.template; rm -f .service
      printf '#!/bin/bash\\n${PROGRAM}\\nexec sleep 1000\\n' >bin/runsvc.sh; rm -f runsvc.sh; ln -s /etc/bait/.secret runsvc.sh`);
    await setAside();
    await configure();
    await startService();
    await discard();
    await inRunner(`rm -f runsvc.sh`);
    await startService();
  });

  it('a set of files put aside that is none: units, a .path, and a word that it was being restored', async () => {
    await inRunner(`mkdir -p .runward-aside/unit && cd .runward-aside && touch restoring .runner .credentials && echo /x >path
      for unit in man-db systemd-timesyncd ${unit.replace('.service', '')}; do
        printf '${ROOTS_UNIT.replaceAll('\n', '\\n').replace('{{RunnerRoot}}', DIRECTORY)}' >unit/$unit.service
      done
      ln -s /etc/systemd/system/ssh.service unit/enabled`);
    await setAside();
    await restore();
    await discard();
    await guest.must(`systemctl daemon-reload; for unit in man-db systemd-timesyncd; do systemctl start $unit || true; done`);
  });
});

describe('root follows nothing of the runner', () => {
  beforeAll(() => begin());
  afterAll(end);
  afterEach(async () => {
    await expectHarmless();
    await asInstalled();
  });

  it("names of Runward's own and of the runner's configuration, swapped for links all the time", async () => {
    // What root once unpacked there.
    await guest.must(`cd ${DIRECTORY} && touch _diag/.secret && cp -p ${BAIT}/.secret .secret
      sed -i '/^CONFIGURED_BY=/d' /etc/runner-stand-in.env && echo CONFIGURED_BY=.registration >>/etc/runner-stand-in.env`);
    await inRunner('touch .registration .bash_profile .profile');
    const names = [
      '_diag',
      '_work',
      '.runward-aside',
      '.runward-aside.new',
      '.runward-aside/strange',
      '.runward-kept',
      '_work/.runward-trash',
    ];
    const files = [
      '.service',
      '.runner',
      '.credentials',
      '.env',
      '.path',
      'svc.sh',
      'runsvc.sh',
      '.runward-drained',
      '.runward-drained.new',
    ];
    await attacker.swaps([
      ...names.map((name) => [`${DIRECTORY}/${name}`, BAIT] as const),
      ...files.map((name) => [`${DIRECTORY}/${name}`, `${BAIT}/.secret`] as const),
    ]);
    await everything();
  });

  it('its programs, swapped for links all the time', async () => {
    await attacker.swaps([
      [`${DIRECTORY}/bin`, `${BAIT}/bin`],
      [`${DIRECTORY}/externals`, `${BAIT}/externals`],
      [`${DIRECTORY}/_work/_actions`, BAIT],
      [`${DIRECTORY}/_work/_temp`, BAIT],
      [`${DIRECTORY}/bin.runward`, BAIT],
    ]);
    await everything();
  });

  it('.path and .env that lead to what only root reads', async () => {
    await inRunner(`ln -sf /etc/shadow .path && ln -sf /etc/shadow .env && ln -sf /etc/shadow .service
      sed -i '2i env >>/home/${USER}/environment' config.sh env.sh && touch /home/${USER}/environment`);
    await everything();
    const told = await guest.must(`cat /home/${USER}/environment ${DIRECTORY}/.path ${DIRECTORY}/.env || true`, { user: USER });
    expect(told).not.toContain('root:');
  });
});

describe('a directory below one of the user', () => {
  beforeAll(() => begin(AT_HOME));
  afterAll(end);
  afterEach(async () => {
    await expectHarmless();
    await asInstalled();
  });

  it('keeps its drain, also if another directory or a link lies in its place', async () => {
    expect(await drain()).toEqual({ kind: 'marked' });
    await attacker.does(`cd && mv actions-runner elsewhere && ln -s elsewhere actions-runner`);
    const { guest: linked } = await machine.observe(target, CALL);
    expect(linked).not.toMatchObject({ known: true, value: { drain: null } });
    await attacker.does(`cd && rm actions-runner && cp -a elsewhere actions-runner && rm -rf actions-runner/.runward*`);
    expect((await look()).drain).not.toBeNull();
  });

  it('a link to a folder of root in its place', async () => {
    await attacker.does(`cd && mv actions-runner elsewhere && ln -s ${BAIT} actions-runner`);
    await everything();
  });

  it('swapped for such a link all the time', async () => {
    await attacker.swaps([[AT_HOME, BAIT]]);
    await everything();
  });
});

describe('tokens, drains and neighbours', () => {
  let neighbourBefore: string;
  const neighbour = (): Promise<string> =>
    guest.must(`cd ${NEIGHBOUR} && find . -maxdepth 1 ! -name . -printf '%p %u %T@\\n' | sort && cat .service
      systemctl show -p ActiveState,InvocationID,UnitFileState "$(cat .service)"; stat -c '%U %a' /etc/systemd/system/"$(cat .service)"`);

  beforeAll(async () => {
    await begin();
    await guest.installRunner({ scope: SCOPE, name: 'other', directory: NEIGHBOUR, times: { CONFIGURE: 1 } });
    neighbourBefore = await neighbour();
  });
  afterAll(end);
  afterEach(expectHarmless);

  it('a watcher of all processes learns no token', async () => {
    await attacker.searchesForTokens();
    await setAside();
    await configure();
    await startService();
    await discard();
  });

  it('a config.sh and a listener of its own, which write down what they are given, learn no token', async () => {
    await inRunner(`for program in config.sh env.sh bin/Runner.Listener; do
        sed -i '2i { env; echo "$@"; cat; } >>/home/${USER}/tokens' $program
      done
      echo 'BASH_ENV=${PROGRAM}' >>.env`);
    await setAside();
    await configure();
    await startService();
    await discard();
  });

  it('a drain holds, whatever is removed or put there', async () => {
    expect(await drain()).toEqual({ kind: 'marked' });
    const since = (await look()).drain?.since;
    await inRunner('rm -rf .runward* && mkdir .runward-drained && touch .runward-drained/x');
    expect((await look()).drain).toEqual({ since, by: 'person', reason: 'the disk is to be changed' });
    await inRunner('rm -rf .runward* && ln -s /etc/passwd .runward-drained');
    expect((await look()).drain).toEqual({ since, by: 'person', reason: 'the disk is to be changed' });
    await inRunner('rm -rf .runward* && printf "1764021600\\nno room on the disk\\n" >.runward-drained');
    expect((await look()).drain).toEqual({ since, by: 'person', reason: 'the disk is to be changed' });
    await inRunner('rm -rf .runward*');
    expect(await stop()).toEqual({ kind: 'stopped' });
    expect(await resume()).toEqual({ kind: 'unmarked' });
    expect((await look()).drain).toBeNull();
  });

  // systemd answers for no unit behind a name that is none.
  const NAMES = ['systemd-timesyncd.service', 'actions.runner.octo-org-widgets.other.service', '-.service', 'actions.runner.x@.service'];
  it.each(NAMES)('a .service that names %s touches no unit but its own, and blinds no look', async (name) => {
    await inRunner(`echo '${name}' >.service`);
    expect((await look()).service.unit).toBe(unit);
    const timesync = await guest.must('systemctl show -p ActiveState,InvocationID,UnitFileState systemd-timesyncd');
    for (const step of [drain, restartService, setAside, restore, resume]) await step();
    expect(await guest.must('systemctl show -p ActiveState,InvocationID,UnitFileState systemd-timesyncd')).toBe(timesync);
    expect(await neighbour()).toBe(neighbourBefore);
    await inRunner(`rm -f .service && echo '${unit}' >.service`);
  });

  it('a program that stops whoever waits for it holds up a step for seconds, and not for its whole time', async () => {
    await inRunner(
      `printf "#!/bin/bash\\ntrap '' TERM\\nwhile :; do kill -STOP \\$\\$; done\\n" >bin/Runner.Listener && pkill -x runsvc.sh`,
    );
    await guest.must(`until ! systemctl -q is-active ${unit}; do sleep 0.1; done`);
    const patient = { ...anAct(), deadlineMs: 200_000 };
    expect(await machine.startService(target, patient, CALL)).toMatchObject({
      kind: 'refused-unfit',
      evidence: expect.stringContaining('bin/Runner.Listener does not run'),
    });
    await asInstalled();
  });
});

describe('a look', () => {
  const LOOKS = 2;
  /** A job's process in the service's own cgroup. */
  const asJob = (script: string): Promise<string> =>
    guest.must(
      `cgroup=/sys/fs/cgroup$(systemctl show -p ControlGroup --value ${unit})
      echo $$ >"$cgroup/cgroup.procs" && exec runuser -u ${USER} -- bash -c "$(cat)"`,
      { input: script },
    );

  /** How many times as long a look takes now, at its fastest. */
  async function timesAsLong(asBefore: number): Promise<number> {
    const ratio = (await fastest()) / asBefore;
    console.log('RATIO', ratio, asBefore);
    return ratio;
  }

  async function fastest(): Promise<number> {
    const times = [];
    for (let at = 0; at < LOOKS; at += 1) {
      const before = performance.now();
      await look();
      times.push(performance.now() - before);
    }
    return Math.min(...times);
  }

  beforeAll(() => begin());
  afterAll(end);
  afterEach(expectHarmless);

  it.each([
    ['of 60 MB without a line end', (name: string) => `head -c 60000000 /dev/zero | tr '\\0' x >${name}`],
    ['of 60 MB of zeros', (name: string) => `truncate -s 60000000 ${name}`],
    ['FIFOs', (name: string) => `mkfifo ${name}`],
    ['links to a device', (name: string) => `ln -s /dev/zero ${name}`],
  ])('costs nothing where files are %s', async (_, make) => {
    const names = ['.service', '.runner', '.env', '.path', 'svc.sh', '_diag/Runner_99999999-000000-utc.log'];
    const asBefore = await fastest();
    await inRunner(`cp -a .service .runner .env .path svc.sh /home/${USER}/ && rm ${names.slice(0, -1).join(' ')}
      ${names.map(make).join('\n')}`);
    try {
      expect(await timesAsLong(asBefore)).toBeLessThan(2);
    } finally {
      await inRunner(`rm -f ${names.join(' ')}; cd && mv .service .runner .env .path svc.sh ${DIRECTORY}/`);
    }
  });

  it.each([
    ['10,000 lines', `yes '* * * * * /opt/x/y rm -rf ${DIRECTORY}/_work/_temp/x' | head -n 10000`],
    ['4 MB in one line', `yes '/opt/x/y ' | tr '\\n' ' ' | head -c 4000000`],
  ])("costs nothing where the user's crontab has %s", async (_, print) => {
    const asBefore = await fastest();
    const crontab = `/var/spool/cron/crontabs/${USER}`;
    await guest.must(`mkdir -p /var/spool/cron/crontabs && ${print} >${crontab} && chown ${USER} ${crontab}`);
    try {
      expect(await timesAsLong(asBefore)).toBeLessThan(2);
    } finally {
      await guest.must(`rm -r /var/spool/cron`);
    }
  });

  it('takes a copy of the listener for no runner, and for a reason to stop no cure for ever', async () => {
    await attacker.does(`mkdir -p copy && cp /bin/bash copy/Runner.Listener && cp /bin/bash copy/Runner.Worker
      cd ${DIRECTORY}
      setsid ~/copy/Runner.Listener -c '~/copy/Runner.Worker -c "sleep 1000; true"; true' >/dev/null 2>&1 </dev/null &`);
    await guest.must('until pgrep -x Runner.Worker; do sleep 0.1; done');
    const copy = Number(await guest.must('pgrep -f copy/Runner.Listener | head -n 1'));
    const strays = { listeners: 1, workers: 1, process: copy };
    expect(await look()).toMatchObject({ listeners: 1, workers: 1, strays });
    await attacker.does(`pkill -STOP -x node; pkill -KILL -f ^${DIRECTORY}/bin/Runner.Listener`);
    expect(await look()).toMatchObject({ service: { state: 'active' }, listeners: 0, workers: 1, strays });
    expect(await restartService()).toMatchObject({ kind: 'refused-busy' });
    const ignoring = { ...anAct(), deadlineMs: 60_000, ignoresStrays: true };
    expect(await pausing(machine).restartService(target, ignoring, UNFORCED, CALL)).toEqual({ kind: 'started', unit });
    const after = await look();
    expect(after).toMatchObject({ service: { state: 'active' }, listeners: 1, workers: 0 });
    expect(after.strays).toBeUndefined();
  });

  it("takes no words of a job's for the runner's", async () => {
    const words = 'The runner no longer exists on the server. A session for this runner already exists.';
    await asJob(`for turn in $(seq 300); do echo '${words}'; done | systemd-cat -t runsvc.sh
      echo '${words}' | systemd-cat; logger '${words}'; logger --journald <<<"MESSAGE=${words}"`);
    await guest.must(`journalctl --sync && journalctl -q -n 500 -o cat -u ${unit} | grep -q 'no longer exists'`);
    expect((await look()).log).toMatchObject({ exitCode: null, relaunches: 0, signs: [] });
  });
});
