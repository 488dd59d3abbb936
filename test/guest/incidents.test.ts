// What goes wrong with runners in the field, in one guest after the other: each is healed, or refused before anything is touched.
// A second runner, whose directory and unit are called like the beginning of the first one's, must not notice any of it.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { GuestObservation, RunnerTarget } from '../../src/domain/runner.ts';
import { Secret } from '../../src/domain/secret.ts';
import { type Act, MachineError } from '../../src/machine/port.ts';
import { ShellMachine } from '../../src/machine/shell-machine.ts';
import { type SandboxGitHub, startGitHub } from '../../src/sandbox/github/server.ts';
import { type Guest, startGuest } from '../kit/guest/index.ts';
import { CALL, registrationToken, SCOPE, targetIn, transportTo } from './shell-machine.ts';
import { pausing } from '../kit/paused.ts';

const DIRECTORY = '/opt/actions-runner-2';
const NEIGHBOUR = '/opt/actions-runner';
/** What root keeps of the two runners: nothing but the names of their units, once a recovery has ended. */
const ROOTS = '/var/lib/runward/runner.* $(find /var/lib/runward -name registering)';
const UNFORCED = { force: false };

let github: SandboxGitHub;
let guest: Guest;
let machine: ShellMachine;
let target: RunnerTarget;
let neighbour: RunnerTarget;
let unit: string;
let neighbourUnit: string;
let before: string;
let fence: number;
let acts = 0;

beforeAll(async () => {
  github = await startGitHub({ repositories: [SCOPE], pollMs: 1_000, offlineAfterMs: 2_000 });
  guest = await startGuest({ github });
  const times = { SESSION_CONFLICT: 5 };
  ({ unit: neighbourUnit } = await guest.installRunner({ scope: SCOPE, name: 'builder', directory: NEIGHBOUR, times }));
  ({ unit } = await guest.installRunner({ scope: SCOPE, name: 'builder-2', directory: DIRECTORY, times }));
  machine = new ShellMachine(transportTo(guest), { settleSeconds: 1, startSeconds: 15, ntpSeconds: 4 });
  target = targetIn(guest, 'builder-2', DIRECTORY);
  neighbour = targetIn(guest, 'builder', NEIGHBOUR);
  fence = await takeFence();
  before = await fingerprint(NEIGHBOUR, neighbourUnit);
});
afterAll(async () => {
  await guest.close();
  await github.close();
});

async function takeFence(): Promise<number> {
  const taken = await machine.takeFence(target, 'incidents', { isRecovery: true }, CALL);
  if (taken.kind !== 'taken') throw new Error(`the fence was not given: ${JSON.stringify(taken)}`);
  return taken.fence;
}

const anAct = (): Act => ({ key: `incident:${(acts += 1)}`, fence, deadlineMs: 120_000 });
const setAside = (act = anAct(), of = target) => pausing(machine).setConfigurationAside(of, act, UNFORCED, CALL);
const configure = async (act = anAct(), of = target) => machine.configure(of, act, await registrationToken(github), CALL);
const start = (act = anAct(), of = target) => machine.startService(of, act, CALL);
const restore = (act = anAct()) => pausing(machine).restoreConfiguration(target, act, CALL);
const discard = (act = anAct(), of = target) => machine.discardAside(of, act, CALL);
/** In the runner's directory. */
const inRunner = (script: string) => guest.must(`cd ${DIRECTORY} && ${script}`);
const setTime = (name: string, value: string | number) =>
  guest.must(`sed -i '/^${name}=/d' /etc/runner-stand-in.env && echo '${name}=${value}' >>/etc/runner-stand-in.env`);

async function look(at = target): Promise<GuestObservation> {
  const seen = await machine.observe(at, CALL);
  if (!seen.guest.known) throw new Error(seen.guest.why);
  return seen.guest.value;
}

/** The runner's own files, unit and processes, with owners and times. */
function fingerprint(directory: string, of: string): Promise<string> {
  return guest.must(`cd ${directory}
    find . -maxdepth 1 ! -name . -printf '%p %u %T@\\n' | sort
    sha256sum .runner .credentials .credentials_rsaparams .service .path svc.sh runsvc.sh /etc/systemd/system/${of}
    systemctl show -p ActiveState,MainPID,InvocationID,UnitFileState ${of}
    for pid in $(pgrep -x Runner.Listener); do if [ "$(readlink /proc/$pid/cwd)" = ${directory} ]; then echo "listener $pid"; fi; done`);
}

/** The steps of a recovery. */
async function heal(of = target): Promise<void> {
  expect(await setAside(anAct(), of)).toMatchObject({ kind: 'set-aside' });
  expect(await configure(anAct(), of)).toMatchObject({ kind: 'configured' });
  expect(await start(anAct(), of)).toMatchObject({ kind: 'started' });
  expect(await discard(anAct(), of)).toMatchObject({ kind: 'discarded' });
}

async function until(isSo: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 60_000; !isSo(); await sleep(50)) {
    if (Date.now() > deadline) throw new Error('waited in vain');
  }
}

/** GitHub shows the runner once, and online. */
function online(name = 'builder-2'): Promise<void> {
  return until(() => {
    const found = github.runners(SCOPE).filter((runner) => runner.name === name);
    return found.length === 1 && found[0]?.status === 'online';
  });
}

/** How often config.sh has registered a runner at GitHub. */
const registered = () => github.requests.filter(({ path }) => path.endsWith('/_service/runners')).length;

async function expectHealed(): Promise<void> {
  await online();
  expect(await look()).toMatchObject({ service: { unit, state: 'active' }, listeners: 1, missingProgram: null, runningAct: null });
  expect(
    await inRunner(
      `systemctl is-enabled ${unit}; cat .service; find ${ROOTS} -mindepth 1 ! -name unit; find . -maxdepth 1 -name '.runward*'`,
    ),
  ).toBe(`enabled\n${unit}`);
}

/** What must hold where nothing may be touched. */
async function untouched(refuse: () => Promise<void>): Promise<void> {
  const unchanged = await fingerprint(DIRECTORY, unit);
  await refuse();
  expect(await fingerprint(DIRECTORY, unit)).toBe(unchanged);
}

describe('healed', () => {
  afterEach(expectHealed);

  it('a .service that is gone while its unit runs, and a forgotten .runner_migrated', async () => {
    await inRunner('rm .service && echo migrated >.runner_migrated && chown github-runner: .runner_migrated');
    await heal();
    await inRunner('test ! -e .runner_migrated');
  });

  it('a unit file that is gone while its processes run', async () => {
    await inRunner(`rm /etc/systemd/system/${unit} && systemctl daemon-reload`);
    await heal();
  });

  it('a listener that survived its service: two at once, which no start takes for one, until a session conflict ends the younger', async () => {
    await inRunner(`systemctl kill --kill-whom=main --signal=KILL ${unit}
      until systemctl -q is-failed ${unit}; do sleep 0.1; done
      systemctl start ${unit}`);
    expect(await look()).toMatchObject({ listeners: 1, strays: { listeners: 1, workers: 0 } });
    const answer = await start();
    expect(answer).toMatchObject({ kind: 'not-started', state: 'inactive' });
    expect(answer.kind === 'not-started' && answer.evidence).toContain('exited with error code 5');
    expect(await look()).toMatchObject({ service: { state: 'inactive' }, listeners: 0, strays: { listeners: 1 } });
    await heal();
  });

  it('a service that looks active while its listener dies again and again', async () => {
    await inRunner(`cp .credentials_rsaparams /root/ && echo damaged >.credentials_rsaparams && systemctl restart ${unit}`);
    const hasty = new ShellMachine(transportTo(guest), { settleSeconds: 1, startSeconds: 5 });
    expect(await hasty.startService(target, anAct(), CALL)).toMatchObject({ kind: 'not-started', state: 'active' });
    await heal();
  });

  it('a registration deleted under a listening runner, which removed its own configuration but for a file that nobody knows', async () => {
    github.removeRunner(SCOPE, 'builder-2');
    await inRunner(`for try in $(seq 100); do systemctl -q is-active ${unit} || break; sleep 0.2; done; test ! -e .runner -a -f .service`);
    await setTime('CONFIGURED_BY', '.registration');
    await inRunner('echo mine >.registration && echo info >.setup_info');
    expect((await setAside()).kind).toBe('set-aside');
    const wrong = await machine.configure(target, anAct(), new Secret('AWRONGTOKENWRONGTOKENWRONGTOK'), CALL);
    expect(wrong).toMatchObject({ kind: 'not-configured', exitCode: 1 });
    // The registration is made where that file is not.
    expect((await configure()).kind).toBe('configured');
    expect((await start()).kind).toBe('started');
    expect((await discard()).kind).toBe('discarded');
    expect(await inRunner('cat .registration .setup_info; rm .registration .setup_info')).toBe('mine\ninfo');
    await setTime('CONFIGURED_BY', '');
  });

  it('a self-update that was cut off between two links, beside whole and half copies and 200,000 files, of which no step reads a folder', async () => {
    // Hard links, made by one process: the guest's disk has no room for so many inodes.
    await inRunner(`mkdir -p _work/widgets && cd _work/widgets && perl -e '
      for my $folder (1 .. 200) {
        mkdir "d$folder"; chdir "d$folder";
        open(my $file, ">", "f0"); close($file);
        link("f0", "f$_") for 1 .. 999;
        chdir "..";
      }' && chown nobody d1/f0`);
    await inRunner(`cp -a bin bin.2.336.0 && cp -a bin bin.2.337.0 && cp -a externals externals.2.336.0
      : >bin.2.337.0/stand-in/Runner.Listener.sh && echo 'exit 1' >bin.2.337.0/Runner.Listener
      mkdir -p externals.2.337.0/node20/bin _diag _work/_update && touch _diag/SelfUpdate-20260101-000000.log.failed _work/_update/half
      rm -r bin externals && pkill -KILL -f ^${DIRECTORY}/bin/Runner.Listener`);
    expect((await look()).missingProgram).toBe('bin is missing');
    // A look counts them, for seconds at most; steps must not.
    await inRunner("cd _work/widgets && find . -type d -exec touch -a -d '3 days ago' {} +");
    await heal();
    expect(await inRunner('readlink bin externals')).toBe('bin.2.336.0\nexternals.2.336.0');
    const read = 'cd _work && find widgets -type d -atime -2 | wc -l';
    expect(await inRunner(read)).toBe('0');
    // To count them was to read them.
    expect(await inRunner(read)).toBe('201');
    expect(await inRunner('stat -c %U _work/widgets/d1/f0 && ls -U _work/widgets/d200 | wc -l')).toBe('nobody\n1000');
    await inRunner('mv _work/widgets /var/tmp/');
  });
});

describe('refused before anything is touched', () => {
  afterEach(makeRoom);

  it('programs of which no whole copy is left', async () => {
    await inRunner('mv bin.2.336.0 /root/');
    await untouched(async () => {
      const answer = await setAside();
      expect(answer).toMatchObject({
        kind: 'refused-unfit',
        evidence: expect.stringMatching(/bin is missing.*Unpack the runner's package/),
      });
    });
    await inRunner('mv /root/bin.2.336.0 . && mv externals.2.336.0/node20 /root/');
    expect((await look()).missingProgram).toBe('externals has no node');
    await untouched(async () => {
      expect(await setAside()).toMatchObject({ kind: 'refused-unfit', evidence: expect.stringContaining('externals has no node') });
    });
    await inRunner('mv /root/node20 externals.2.336.0/');
  });

  it('a self-update that is under way', async () => {
    await inRunner(`echo 'until [ -e /run/let-go ]; do sleep 0.1; done' >_work/_update.sh
      runuser -u github-runner -- setsid bash ${DIRECTORY}/_work/_update.sh >/dev/null 2>&1 </dev/null &`);
    await untouched(async () => {
      expect(await setAside()).toMatchObject({ kind: 'refused-busy', evidence: expect.stringContaining('updates itself') });
    });
    await guest.must('touch /run/let-go');
  });

  it("a disk that is full for the runner's user, or without an inode", async () => {
    await fill('github-runner');
    await untouched(async () => {
      expect(await setAside()).toMatchObject({
        kind: 'refused-unfit',
        evidence: expect.stringMatching(/\d+ bytes and \d+ inodes are free/),
      });
    });
    await makeRoom();

    await guest.must('mkdir /opt/tiny && mount -t tmpfs -o nr_inodes=20 tmpfs /opt/tiny && touch /opt/tiny/.runner');
    const tiny = await setAside(anAct(), targetIn(guest, 'tiny', '/opt/tiny'));
    expect(tiny).toMatchObject({ kind: 'refused-unfit', evidence: expect.stringMatching(/ \d\d inodes are free/) });
    expect(await guest.must('ls -A /opt/tiny; umount /opt/tiny; rmdir /opt/tiny')).toBe('.runner');
  });

  it('a disk that is full for everybody', async () => {
    await fill('root');
    await untouched(async () => {
      const taken = await machine.takeFence(target, 'on a full disk', { isRecovery: true }, CALL);
      expect(taken).toMatchObject({ kind: 'refused-unfit', evidence: expect.stringMatching(/disk is full.*inodes are free.*Make room/) });
      expect(await setAside()).toMatchObject({ kind: 'refused-unfit', evidence: expect.stringContaining('is full') });
    });
    await makeRoom();
    fence = await takeFence();
  });
});

/** Fills the guest's disk as a user. */
async function fill(user: string): Promise<void> {
  await guest.must(`runuser -u ${user} -- bash -c '
    free=$(stat -f -c ${user === 'root' ? '%f' : '%a'} /var/tmp)
    fallocate -l $(((free - 512) * 4096)) /var/tmp/filler 2>/dev/null
    for size in 1M 64K 4K; do while dd if=/dev/zero bs=$size count=1 oflag=append conv=notrunc of=/var/tmp/filler-2 2>/dev/null; do :; done; done'; sync`);
}

async function makeRoom(): Promise<void> {
  await guest.must('rm -f /var/tmp/filler /var/tmp/filler-2');
}

it('a disk that fills up after the old configuration was set aside: it is put back, and works', async () => {
  const path = await inRunner('cat .path');
  expect((await setAside()).kind).toBe('set-aside');
  await fill('root');
  try {
    expect(await configure()).toMatchObject({ kind: 'refused-unfit', evidence: expect.stringContaining('is full') });
    expect((await restore()).kind).toBe('restored');
    expect((await start()).kind).toBe('started');
  } finally {
    await makeRoom();
  }
  expect(await inRunner('cat .path')).toBe(path);
  await expectHealed();
});

describe('names', () => {
  it.each([[`/opt/it's $(touch /var/tmp/pwned) "q" \`id\` ; * ü %n`], [`/opt/-rf ${'x'.repeat(180)}`], ['/opt/-n']])(
    'a directory called %s harms nothing',
    async (directory) => {
      await guest.must('read -r name; mkdir -p -- "$name" && echo mine >"$name/.runner" && echo "exit 1" >"$name/config.sh"', {
        input: `${directory}\n`,
      });
      const odd = { ...targetIn(guest, '-x $(touch /var/tmp/pwned)', directory), labels: ["l' $(touch /var/tmp/pwned)"], group: '`id`' };
      expect((await setAside(anAct(), odd)).kind).toBe('refused-unfit');
      expect((await look(odd)).service).toEqual({ unit: null, state: 'missing' });
      expect(await guest.must('ls /var/tmp')).not.toContain('pwned');
    },
  );
});

describe('killed in the middle of a step, whose repetition comes to the same end', () => {
  /** Programs that a step calls, of which one is to be the step's last: the pattern is for its name and arguments. */
  const cutAt = (pattern: string, how = 'systemctl kill --signal=KILL runward-act.service') =>
    guest.must(
      `cat >/run/cut-script
       for name in mv rm systemctl timedatectl; do install -m 755 /run/cut-script /usr/local/sbin/$name; done`,
      {
        input: `#!/bin/bash
PATH=/usr/sbin:/usr/bin:/sbin:/bin
if [ -e /run/cut ] || [[ "\${0##*/} $*" != ${pattern} ]] || ! grep -q runward-act /proc/self/cgroup; then exec "\${0##*/}" "$@"; fi
touch /run/cut
${how}
sleep 60
`,
      },
    );
  const uncut = () => guest.must('rm -f /run/cut /usr/local/sbin/{mv,rm,systemctl,timedatectl}');

  async function killed(pattern: string, step: (act: Act) => Promise<unknown>): Promise<Act> {
    const act = anAct();
    await cutAt(pattern);
    const error = await step(act).catch((reason: unknown) => reason);
    await uncut();
    expect(error).toBeInstanceOf(MachineError);
    expect(error).toMatchObject({ kind: 'act-failed', message: expect.stringContaining('killed KILL') });
    return act;
  }

  it('set-aside and restore', async () => {
    expect(await setAside(await killed('mv*aside.new*', setAside))).toMatchObject({ kind: 'set-aside', agentId: expect.any(Number) });
    await inRunner(`test ! -e .credentials && ! systemctl -q is-enabled ${unit}`);
    expect((await restore(await killed('mv*aside.old*', restore))).kind).toBe('restored');
    expect((await start()).kind).toBe('started');
    await expectHealed();
  });

  it('configure, start and discard', async () => {
    expect((await setAside()).kind).toBe('set-aside');
    await setTime('CONFIGURE', 300);
    const act = anAct();
    const registrations = registered();
    const configuring = configure(act).catch((reason: unknown) => reason);
    await until(() => registered() > registrations);
    await guest.must('systemctl kill --signal=KILL runward-act.service');
    expect(await configuring).toMatchObject({ kind: 'act-failed', message: expect.stringContaining('killed KILL') });
    await guest.must('! systemctl -q is-active runward-register.service');
    await setTime('CONFIGURE', 0);
    expect((await configure(act)).kind).toBe('configured');
    // The unit is not enabled yet.
    expect((await start(await killed('systemctl\\ -q\\ enable*', start))).kind).toBe('started');
    expect((await discard(await killed('rm*aside.old*', discard))).kind).toBe('discarded');
    await expectHealed();
    expect(github.runners(SCOPE).map(({ name }) => name)).toEqual(expect.arrayContaining(['builder', 'builder-2']));
    expect(github.runners(SCOPE)).toHaveLength(2);
  });

  it('setting the clock', async () => {
    const sync = (act: Act) => pausing(machine).syncClock(target, act, UNFORCED, CALL);
    expect(await sync(await killed('systemctl\\ restart*', sync))).toMatchObject({ kind: 'synced' });
  });
});

it('the neighbour has noticed nothing, and is healed without its own neighbour noticing', async () => {
  expect(await fingerprint(NEIGHBOUR, neighbourUnit)).toBe(before);
  await online('builder');
  const own = await fingerprint(DIRECTORY, unit);
  await inRunner(`systemctl kill --kill-whom=main --signal=KILL ${neighbourUnit}`);
  await heal(neighbour);
  await online('builder');
  expect(await fingerprint(DIRECTORY, unit)).toBe(own);
});

it('the power is cut while the configuration is set aside', async () => {
  const act = anAct();
  await guest.must(`cat >/usr/local/sbin/mv && chmod 755 /usr/local/sbin/mv`, {
    input: `#!/bin/bash\nif [[ "$*" == *aside.new* ]]; then sync; touch /run/reached; sleep 60; fi\nexec /usr/bin/mv "$@"\n`,
  });
  const cut = setAside(act).catch((reason: unknown) => reason);
  await guest.must('for try in $(seq 300); do [ -e /run/reached ] && exit 0; sleep 0.1; done; exit 1');
  await guest.powerCut();
  expect(await cut).toBeInstanceOf(MachineError);
  await guest.start();
  await guest.must('rm /usr/local/sbin/mv');
  expect(await setAside(act)).toMatchObject({ kind: 'set-aside', agentId: expect.any(Number) });
  expect((await configure()).kind).toBe('configured');
  expect((await start()).kind).toBe('started');
  expect((await discard()).kind).toBe('discarded');
  await expectHealed();
});
