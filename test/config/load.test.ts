import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import type { ConfigFlags } from '../../src/config/load.ts';
import { ConfigError } from '../../src/config/mistake.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'runward-config-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function write(path: string, content: string | Uint8Array, mode = 0o644): string {
  const whole = join(folder, path);
  mkdirSync(dirname(whole), { recursive: true });
  writeFileSync(whole, content);
  chmodSync(whole, mode);
  return whole;
}

interface Options {
  readonly flags?: ConfigFlags;
  readonly platform?: NodeJS.Platform;
}

function load(env: Record<string, string> = {}, options: Options = {}) {
  return loadConfig({ env, cwd: folder, homedir: join(folder, 'home'), platform: options.platform ?? 'linux', flags: options.flags ?? {} });
}

/** The lines of the error's message, without its title. */
function mistakesOf(env: Record<string, string> = {}, options: Options = {}): string[] {
  try {
    load(env, options);
  } catch (error) {
    if (error instanceof ConfigError) {
      return error.message
        .split('\n')
        .slice(1)
        .map((line) => line.trim());
    }
    throw error;
  }
  return [];
}

/** The mistakes of this file. */
function mistakesIn(content: string, env: Record<string, string> = {}): string[] {
  write('runward.yaml', content);
  return mistakesOf(env);
}

const ONE_RUNNER = `scopes:
  - repo: octo-org/widgets
    runners:
      - name: builder
        labels: [bpf-lsm]
`;

const TWO_RUNNERS = `scopes:
  - repo: octo-org/widgets
    runners:
      - { name: builder, vm: builders, directory: /opt/builder, labels: [bpf-lsm] }
  - org: octo-org
    runners:
      - { name: tester, vm: builders, directory: /opt/tester, labels: [] }
`;

describe('the environment alone', () => {
  test('REPO is enough, with the defaults of the documentation', () => {
    const config = load({ REPO: 'octo-org/widgets' });
    expect(config).toMatchObject({
      file: null,
      mode: 'act',
      host: 'local',
      github: { apiUrl: 'https://api.github.com', serverUrl: 'https://github.com', credentials: { kind: 'gh', hostname: 'github.com' } },
      runners: [
        {
          scope: 'octo-org/widgets',
          runner: 'assay-bpf-runner',
          machine: 'assay-bpf-runner',
          directory: '/opt/actions-runner',
          user: 'github-runner',
          labels: ['bpf-lsm', 'assay-bpf-runner'],
          group: null,
          registrationUrl: 'https://github.com/octo-org/widgets',
          host: 'local',
          neighbours: [],
        },
      ],
      health: { everyMs: 5 * 60_000 },
      vm: { autostart: 'wanted' },
      queue: {
        stale: { mode: 'on', hours: 4 },
        prioritizePullRequests: { mode: 'on', threshold: 5 },
        reach: 'served',
        writesPerMinute: 60,
        maxPerPass: 200,
      },
      cache: { maxAgeDays: 7 },
      disk: { usedPercent: 90, inodesPercent: 90, floorMiB: 512, toolsDays: 30, dockerDays: 7 },
      budgets: { recoveries: { max: 3, perMs: 6 * 3_600_000 }, breakerAfter: 2 },
      retentionMs: 90 * 86_400_000,
      multipass: 'multipass',
      warnings: [],
    });
    expect(config.queue.prioritizePullRequests.then).toBe('park');
  });

  test('every variable is used', () => {
    const config = load({
      GITHUB_ORG: 'octo-org',
      VM_NAME: 'builders',
      RUNNER_NAME: 'builder-1',
      RUNNER_DIR: '/srv/runner/',
      RUNNER_USER: 'runner',
      RUNNER_LABELS: 'bpf-lsm, gpu,,gpu',
      STALE_JOB_HOURS: '1.5',
      ACTIONS_CACHE_MAX_AGE_DAYS: '30',
    });
    expect(config.runners).toEqual([
      {
        scope: 'octo-org',
        runner: 'builder-1',
        machine: 'builders',
        directory: '/srv/runner',
        user: 'runner',
        labels: ['bpf-lsm', 'gpu'],
        group: null,
        registrationUrl: 'https://github.com/octo-org',
        host: 'local',
        neighbours: [],
      },
    ]);
    expect(config.queue.stale.hours).toBe(1.5);
    expect(config.cache.maxAgeDays).toBe(30);
  });

  test('an empty variable counts as not set', () => {
    expect(load({ REPO: 'octo-org/widgets', VM_NAME: '', GH_TOKEN: ' ', RUNWARD_CONFIG: '' }).runners[0]?.machine).toBe('assay-bpf-runner');
  });

  test.each([
    ['REPO', 'widgets', 'a repository as owner/name'],
    ['REPO', 'octo-org/..', 'a repository as owner/name'],
    ['REPO', 'octo-org/widgets/more', 'a repository as owner/name'],
    ['GITHUB_ORG', 'octo org', 'the name of an organisation'],
    ['VM_NAME', '1st', 'the name of a Multipass instance'],
    ['VM_NAME', '--all', 'the name of a Multipass instance'],
    ['RUNNER_NAME', 'a/b', "the runner's name on GitHub"],
    ['RUNNER_NAME', 'r'.repeat(65), "the runner's name on GitHub"],
    ['RUNNER_DIR', 'opt/actions-runner', 'an absolute path'],
    ['RUNNER_DIR', '/', 'an absolute path'],
    ['RUNNER_DIR', '/opt/../etc', 'an absolute path'],
    ['RUNNER_USER', 'root', 'a user of the guest other than root'],
    ['RUNNER_USER', '-x', 'a user of the guest other than root'],
    ['RUNNER_LABELS', `ok,${'l'.repeat(257)}`, 'a label of up to 256 characters'],
    ['STALE_JOB_HOURS', 'four', 'a number of hours above 0'],
    ['STALE_JOB_HOURS', '0', 'a number of hours above 0'],
    ['STALE_JOB_HOURS', '-4', 'a number of hours above 0'],
    ['STALE_JOB_HOURS', '1e3', 'a number of hours above 0'],
    ['ACTIONS_CACHE_MAX_AGE_DAYS', 'NaN', 'a number of days above 0'],
    ['GITHUB_SERVER_URL', 'github.example.com', 'an https address'],
    ['GITHUB_SERVER_URL', 'https://me@github.example.com', 'an https address'],
  ])('%s=%s is a mistake that names the variable', (variable, value, allowed) => {
    const mistakes = mistakesOf({ REPO: 'octo-org/widgets', ...(variable === 'GITHUB_ORG' ? { REPO: '' } : {}), [variable]: value });
    expect(mistakes).toEqual([expect.stringMatching(new RegExp(`^${variable}: found .*; allowed: ${allowed}`))]);
  });

  // What is taken reaches the guest as data: test/guest/incidents.test.ts.
  test.each([
    [`a'b`, ['path', 'group', 'label']],
    ['a"b', ['path', 'group', 'label']],
    ['a b', ['name', 'path', 'group', 'label']],
    [' a', ['path', 'group']],
    ['$(reboot)', ['path', 'group', 'label']],
    ['`reboot`', ['path', 'group', 'label']],
    ['a;reboot', ['path', 'group', 'label']],
    ['ü', ['path', 'group', 'label']],
    ['-rf', ['path']],
    ['--ephemeral', ['path']],
    ['a\nb', []],
    ['a\u0000b', []],
    ['a\u001B[2Jb', []],
    ['x'.repeat(200), ['path', 'group', 'label']],
    ['x'.repeat(300), ['path']],
    ['', ['path']],
  ])('what is called %j is taken as %j alone, and told what is allowed elsewhere', (value, taken) => {
    const settings = {
      name: { name: value },
      vm: { vm: value },
      user: { user: value },
      host: { host: value },
      directory: { directory: value },
      path: { directory: `/opt/runner${value}` },
      group: { group: value },
      label: { labels: [value] },
    };
    for (const [key, setting] of Object.entries(settings)) {
      const runner = { name: 'builder', vm: 'm', labels: [], ...setting };
      const mistakes = mistakesIn(JSON.stringify({ scopes: [{ org: 'octo-org', runners: [runner] }] }));
      expect([key, mistakes]).toEqual([key, taken.includes(key) ? [] : [expect.stringContaining('; allowed: ')]]);
    }
  });

  test('a label of 256 characters is allowed', () => {
    expect(load({ REPO: 'octo-org/widgets', RUNNER_LABELS: 'l'.repeat(256) }).runners[0]?.labels).toEqual(['l'.repeat(256)]);
  });

  test('the address of a repository is answered with its short form', () => {
    expect(mistakesOf({ REPO: 'https://github.com/octo-org/widgets.git' })).toEqual([
      expect.stringContaining('Did you mean octo-org/widgets?'),
    ]);
  });

  test('REPO and GITHUB_ORG exclude each other', () => {
    expect(mistakesOf({ REPO: 'octo-org/widgets', GITHUB_ORG: 'octo-org' })).toEqual([expect.stringContaining('not both')]);
  });

  test('nothing at all says what to set', () => {
    expect(mistakesOf()).toEqual([
      'REPO: found nothing; allowed: REPO=owner/name or GITHUB_ORG=name in the environment, or scopes in a file runward.yaml',
    ]);
  });

  test('all mistakes are told at once', () => {
    const mistakes = mistakesOf({ REPO: 'x', VM_NAME: '_', STALE_JOB_HOURS: 'x', GITHUB_APP_ID: '1' }, { flags: { host: 'a b' } });
    expect(mistakes.map((line) => line.split(':')[0])).toEqual([
      'REPO',
      'VM_NAME',
      'STALE_JOB_HOURS',
      '--host',
      'GITHUB_APP_INSTALLATION_ID',
      'GITHUB_APP_PRIVATE_KEY_FILE',
    ]);
  });
});

describe('addresses of GitHub', () => {
  test.each([
    [{ GITHUB_SERVER_URL: 'https://github.example.com/' }, 'https://github.example.com/api/v3', 'https://github.example.com'],
    [{ GITHUB_SERVER_URL: 'http://127.0.0.1:3000' }, 'http://127.0.0.1:3000/api/v3', 'http://127.0.0.1:3000'],
    [{ GITHUB_SERVER_URL: 'https://octo.ghe.com' }, 'https://api.octo.ghe.com', 'https://octo.ghe.com'],
    [{ GITHUB_SERVER_URL: 'https://github.com' }, 'https://api.github.com', 'https://github.com'],
    [{ GITHUB_API_URL: 'https://github.example.com/api/v3' }, 'https://github.example.com/api/v3', 'https://github.example.com'],
    [{ GITHUB_API_URL: 'https://api.github.com' }, 'https://api.github.com', 'https://github.com'],
    [{ GITHUB_API_URL: 'http://127.0.0.1:1', GITHUB_SERVER_URL: 'http://127.0.0.1:2' }, 'http://127.0.0.1:1', 'http://127.0.0.1:2'],
  ])('%j', (variables, apiUrl, serverUrl) => {
    const config = load({ REPO: 'octo-org/widgets', ...variables });
    expect(config.github).toMatchObject({ apiUrl, serverUrl });
    expect(config.runners[0]?.registrationUrl).toBe(`${serverUrl}/octo-org/widgets`);
  });

  test.each(['http://localhost:3000', 'http://127.8.7.6', 'http://[::1]:3000'])('%s is on this computer', (address) => {
    expect(load({ REPO: 'octo-org/widgets', GITHUB_SERVER_URL: `${address}/` }).github.serverUrl).toBe(address);
  });

  test.each([
    'http://github.example.com',
    'http://10.0.2.2:3000',
    'http://127.0.0.1.example.com',
    'http://localhost.example.com:3000',
    'http://127.0.0.1:3000@example.com',
    'http://0.0.0.0:3000',
    'HTTP://github.example.com',
  ])('%s would send tokens in clear, and is refused', (address) => {
    for (const variable of ['GITHUB_SERVER_URL', 'GITHUB_API_URL']) {
      expect(mistakesOf({ REPO: 'octo-org/widgets', [variable]: address })[0]).toMatch(
        /found ".*"; allowed: an https address .*http only to this computer/,
      );
    }
    for (const key of ['serverUrl', 'apiUrl']) {
      expect(mistakesIn(`github:\n  ${key}: '${address}'\n${ONE_RUNNER}`)[0]).toMatch(
        /^runward\.yaml:2 github\.\w+: found ".*"; allowed: an https address/,
      );
    }
  });

  test('a lab may name one host for its web address, which is told each time', () => {
    const lab = { REPO: 'octo-org/widgets', RUNWARD_LAB_HTTP_HOST: '10.0.2.2', GITHUB_API_URL: 'http://127.0.0.1:1' };
    const { github, warnings } = load({ ...lab, GITHUB_SERVER_URL: 'http://10.0.2.2:2/' });
    expect(github).toMatchObject({ apiUrl: 'http://127.0.0.1:1', serverUrl: 'http://10.0.2.2:2' });
    expect(warnings).toEqual([
      'RUNWARD_LAB_HTTP_HOST: registrations at http://10.0.2.2:2 cross the network in clear; this is for tests alone.',
    ]);
    expect(load({ ...lab, GITHUB_SERVER_URL: 'https://github.example.com' }).warnings).toEqual([]);
    for (const address of ['http://10.0.2.20:2', 'http://10.0.2.2.example.com', 'http://me@10.0.2.2', 'http://10.0.2.2?a']) {
      expect(mistakesOf({ ...lab, GITHUB_SERVER_URL: address })[0]).toMatch(/^GITHUB_SERVER_URL: found ".*"; allowed: an https/);
    }
    // The token goes to the API.
    expect(mistakesOf({ ...lab, GITHUB_SERVER_URL: 'http://10.0.2.2:2', GITHUB_API_URL: 'http://10.0.2.2:2' })).toEqual([
      expect.stringMatching(/^GITHUB_API_URL: found/),
    ]);
  });

  test('an API address that tells nothing of its server needs the server too', () => {
    expect(mistakesOf({ REPO: 'octo-org/widgets', GITHUB_API_URL: 'http://127.0.0.1:1' })).toEqual([
      expect.stringMatching(/^GITHUB_SERVER_URL: found nothing/),
    ]);
  });
});

describe('credentials', () => {
  const repo = { REPO: 'octo-org/widgets' };

  test('are taken in the documented order', () => {
    const path = write('token', 'ghp_file', 0o600);
    const key = write('key.pem', 'key', 0o400);
    const app = { GITHUB_APP_ID: '12', GITHUB_APP_INSTALLATION_ID: '34', GITHUB_APP_PRIVATE_KEY_FILE: 'key.pem' };
    const kindOf = (env: Record<string, string>) => load({ ...repo, ...env }).github.credentials;

    expect(kindOf({ ...app, GH_TOKEN: 'ghp_a', GITHUB_TOKEN: 'ghp_b', GH_TOKEN_FILE: path })).toMatchObject({
      kind: 'token',
      variable: 'GH_TOKEN',
    });
    expect(kindOf({ ...app, GITHUB_TOKEN: 'ghp_b', GH_TOKEN_FILE: path })).toMatchObject({ kind: 'token', variable: 'GITHUB_TOKEN' });
    expect(kindOf({ ...app, GH_TOKEN_FILE: 'token' })).toEqual({ kind: 'token-file', path });
    expect(kindOf(app)).toEqual({ kind: 'app', appId: '12', installationId: 34, privateKeyFile: key });
    expect(kindOf({ GITHUB_SERVER_URL: 'https://github.example.com' })).toEqual({ kind: 'gh', hostname: 'github.example.com' });
  });

  test('a token is kept, and shown nowhere', () => {
    const config = load({ ...repo, GH_TOKEN: ' ghp_verysecret\n' });
    const { credentials } = config.github;
    expect(credentials.kind === 'token' && credentials.token.reveal()).toBe('ghp_verysecret');
    expect(inspect(config, { depth: null, showHidden: true }) + JSON.stringify(config)).not.toContain('verysecret');
  });

  test('a broken token is a mistake that does not show it', () => {
    const mistakes = mistakesOf({ ...repo, GH_TOKEN: 'ghp_very secret' });
    expect(mistakes).toEqual([expect.stringMatching(/^GH_TOKEN: .*not shown/)]);
    expect(mistakes.join()).not.toContain('very');
  });

  test('an App that a token makes useless is a warning', () => {
    expect(load({ ...repo, GH_TOKEN: 'ghp_a', GITHUB_APP_ID: '12' }).warnings).toEqual(['GITHUB_APP_ID: not used, since GH_TOKEN is set.']);
  });

  test.each([0o644, 0o640, 0o604, 0o660, 0o620])('files that others can open are mistakes: mode %i', (mode) => {
    const token = write('a token', 'ghp_file', mode);
    const key = write('a-key.pem', 'key', mode);
    const allowed = `allowed: a file that its owner alone can open; it has mode 0${mode.toString(8)}:`;
    expect(mistakesOf({ ...repo, GH_TOKEN_FILE: token })).toEqual([`GH_TOKEN_FILE: found "${token}"; ${allowed} chmod 600 '${token}'`]);
    expect(mistakesOf({ ...repo, GITHUB_APP_ID: '12', GITHUB_APP_INSTALLATION_ID: '34', GITHUB_APP_PRIVATE_KEY_FILE: key })).toEqual([
      `GITHUB_APP_PRIVATE_KEY_FILE: found "${key}"; ${allowed} chmod 600 ${key}`,
    ]);
  });

  test('files that are not there are mistakes', () => {
    expect(mistakesOf({ ...repo, GH_TOKEN_FILE: 'nowhere' })).toEqual([
      expect.stringMatching(/^GH_TOKEN_FILE: found ".*nowhere \(ENOENT\)"/),
    ]);
    expect(
      mistakesOf({ ...repo, GITHUB_APP_ID: 'x', GITHUB_APP_INSTALLATION_ID: '0', GITHUB_APP_PRIVATE_KEY_FILE: 'nowhere' }).map(
        (line) => line.split(':')[0],
      ),
    ).toEqual(['GITHUB_APP_ID', 'GITHUB_APP_INSTALLATION_ID', 'GITHUB_APP_PRIVATE_KEY_FILE']);
  });
});

describe('which file is read', () => {
  const fileFor = (name: string) => ONE_RUNNER.replace('builder', name);

  test('flag, variable, current folder, configuration folder, in this order', () => {
    write('home/.config/runward/runward.yaml', fileFor('home'));
    expect(load().runners[0]?.runner).toBe('home');
    write('xdg/runward/runward.yaml', fileFor('xdg'));
    expect(load({ XDG_CONFIG_HOME: join(folder, 'xdg') }).runners[0]?.runner).toBe('xdg');
    expect(load({ XDG_CONFIG_HOME: 'xdg' }).runners[0]?.runner).toBe('home');
    write('runward.yaml', fileFor('here'));
    expect(load().runners[0]?.runner).toBe('here');
    write('variable.yaml', fileFor('variable'));
    expect(load({ RUNWARD_CONFIG: 'variable.yaml' }).runners[0]?.runner).toBe('variable');
    const flag = write('home/flag.yaml', fileFor('flag'));
    expect(load({ RUNWARD_CONFIG: 'variable.yaml' }, { flags: { config: '~/flag.yaml' } })).toMatchObject({
      file: flag,
      runners: [{ runner: 'flag' }],
    });
  });

  test('a named file must be there, and is the only mistake', () => {
    expect(mistakesOf({}, { flags: { config: 'no.yaml' } })).toEqual([
      '--config: found "no.yaml", which does not exist; allowed: the path of a YAML file',
    ]);
    expect(mistakesOf({ RUNWARD_CONFIG: 'no.yaml' })).toEqual([expect.stringMatching(/^RUNWARD_CONFIG: found "no.yaml"/)]);
  });

  test('runward.yml is not read, and that is told', () => {
    write('runward.yml', ONE_RUNNER);
    expect(load({ REPO: 'octo-org/widgets' }).warnings).toEqual([expect.stringContaining('rename it to runward.yaml')]);
  });

  test.each([
    ['an empty file', '# nothing\n', 'found an empty file'],
    ['a list', '- mode: act\n', 'found a list'],
    ['text', 'mode\n', 'found "mode"'],
    ['a tab', 'mode: act\nvm:\n\tautostart: never\n', 'broken YAML'],
    ['an open quote', 'mode: "act\n', 'broken YAML'],
    ['a key given twice', 'mode: act\nmode: watch\n', 'each key once'],
    ['an unknown anchor', 'mode: *no\n', 'alias'],
    ['an unknown tag', 'mode: !secret act\n', 'broken YAML'],
    ['two documents', 'mode: act\n---\nmode: act\n', 'broken YAML'],
    ['bytes that are no text', Uint8Array.of(0x6d, 0xff, 0xfe), 'not UTF-8'],
  ])('%s is a mistake of the file', (_, content, found) => {
    write('runward.yaml', content);
    const mistakes = mistakesOf();
    expect(mistakes[0]).toMatch(/^runward\.yaml:\d+:? /);
    expect(mistakes[0]).toContain(found);
    expect(mistakes.join()).not.toContain('REPO');
  });

  test('broken YAML is told with its line', () => {
    expect(mistakesIn('mode: act\nmode: watch\n')[0]).toMatch(/^runward\.yaml:2: /);
  });

  test('a folder is no readable file', () => {
    mkdirSync(join(folder, 'runward.yaml'));
    expect(mistakesOf()).toEqual(['runward.yaml:1: found an unreadable file (EISDIR); allowed: a readable YAML file']);
  });
});

describe('the file', () => {
  test('flag wins over environment, environment over file, file over default', () => {
    write('runward.yaml', `mode: act\nhost: mac-mini\nqueue: { stale: { hours: 8 } }\ncache: { maxAgeDays: 3 }\n${ONE_RUNNER}`);
    expect(load()).toMatchObject({
      mode: 'act',
      host: 'mac-mini',
      queue: { stale: { hours: 8 } },
      cache: { maxAgeDays: 3 },
      runners: [{ host: 'mac-mini' }],
    });
    expect(load({ STALE_JOB_HOURS: '2', ACTIONS_CACHE_MAX_AGE_DAYS: '1' }, { flags: { mode: 'watch', host: 'other' } })).toMatchObject({
      mode: 'watch',
      host: 'other',
      queue: { stale: { hours: 2, mode: 'on' } },
      cache: { maxAgeDays: 1 },
      runners: [{ host: 'other' }],
    });
  });

  test('runners are told their neighbours: those on the same machine of the same host', () => {
    write('runward.yaml', TWO_RUNNERS);
    expect(load().runners).toMatchObject([
      { runner: 'builder', neighbours: [{ scope: 'octo-org', runner: 'tester' }] },
      { runner: 'tester', neighbours: [{ scope: 'octo-org/widgets', runner: 'builder' }] },
    ]);
    write('runward.yaml', TWO_RUNNERS.replace('name: tester,', 'name: tester, host: elsewhere,'));
    expect(load().runners).toMatchObject([{ neighbours: [] }, { neighbours: [] }]);
  });

  test("the VM's name is the runner's where it is not given", () => {
    write('runward.yaml', ONE_RUNNER);
    expect(load().runners[0]?.machine).toBe('builder');
    expect(mistakesIn(ONE_RUNNER.replace('builder', 'builder.1'))).toEqual([
      expect.stringMatching(/^runward\.yaml:4 scopes\[0\]\.runners\[0\]\.vm: found nothing/),
    ]);
  });

  test('environment wins over the only runner of a file, and what it changed is told', () => {
    write('runward.yaml', ONE_RUNNER);
    const config = load({ REPO: 'octo-org/gadgets', VM_NAME: 'other', RUNNER_NAME: 'builder' });
    expect(config.runners).toMatchObject([
      {
        scope: 'octo-org/gadgets',
        registrationUrl: 'https://github.com/octo-org/gadgets',
        machine: 'other',
        runner: 'builder',
        labels: ['bpf-lsm'],
      },
    ]);
    expect(config.warnings).toEqual([
      expect.stringMatching(/^scope of octo-org\/widgets\/builder is octo-org\/gadgets by the environment, not octo-org\/widgets as in /),
      expect.stringMatching(/^machine of octo-org\/widgets\/builder is other /),
    ]);
  });

  test('of several runners none is described by the environment, and that is told', () => {
    write('runward.yaml', TWO_RUNNERS);
    const config = load({ REPO: 'octo-org/gadgets', VM_NAME: 'other' });
    expect(config.runners).toMatchObject([{ machine: 'builders' }, { machine: 'builders' }]);
    expect(config.warnings).toEqual([expect.stringMatching(/^REPO, VM_NAME: left aside, since .* lists 2 runners\.$/)]);
  });

  test('a file without scopes leaves the runner to the environment', () => {
    write('runward.yaml', 'mode: watch\n');
    expect(load({ REPO: 'octo-org/widgets' })).toMatchObject({ mode: 'watch', runners: [{ runner: 'assay-bpf-runner' }] });
    expect(mistakesOf()).toEqual([expect.stringMatching(/^runward\.yaml:1 scopes: found nothing; allowed: REPO=owner\/name/)]);
  });

  test('time limits of steps are read as milliseconds', () => {
    write('runward.yaml', `recovery: { timeouts: { verify-online: 5m, reconfigure: 90s } }\n${ONE_RUNNER}`);
    expect(load().recovery.timeoutsMs).toEqual({ 'verify-online': 300_000, reconfigure: 90_000 });
  });

  test('a webhook has an address and a file with its secret', () => {
    write('runward.yaml', `alerts: { webhook: { url: https://alerts.example.com/runward, secretFile: ~/hook } }\n${ONE_RUNNER}`);
    const { alerts, warnings } = load();
    expect(alerts.webhook).toEqual({ url: 'https://alerts.example.com/runward', secretFile: join(folder, 'home', 'hook') });
    expect(warnings).toEqual([]);
    write('runward.yaml', ONE_RUNNER);
    expect(load().alerts.webhook).toBeNull();
  });

  test('its secret must be a file that its owner alone can open', () => {
    const file = write('home/hook', 'whsec_', 0o640);
    const text = `alerts:\n  webhook:\n    url: https://alerts.example.com/\n    secretFile: ~/hook\n${ONE_RUNNER}`;
    expect(mistakesIn(text)).toEqual([
      `runward.yaml:4 alerts.webhook.secretFile: found "~/hook"; allowed: a file that its owner alone can open; it has mode 0640: chmod 600 ${file}`,
    ]);
    write('home/hook', 'whsec_', 0o600);
    expect(mistakesIn(text)).toEqual([]);
  });

  test.each(['https://a.example/x?key=1', 'http://localhost:8080/', 'http://127.0.0.1:1', 'http://[::1]:8080/x'])('%s is told', (url) => {
    expect(mistakesIn(`alerts: { webhook: { url: '${url}', secretFile: hook } }\n${ONE_RUNNER}`)).toEqual([]);
  });

  test.each(['http://alerts.example.com', 'https://me@example.com/', 'https://a.example/#x', 'http://localhost.example.com', 'alerts', ''])(
    '%s is not',
    (url) => {
      expect(mistakesIn(`alerts:\n  webhook:\n    url: '${url}'\n    secretFile: hook\n${ONE_RUNNER}`)).toEqual([
        expect.stringMatching(/^runward\.yaml:3 alerts\.webhook\.url: found .*; allowed: an https address/),
      ]);
    },
  );

  test('what a webhook lacks is told, and a secret does not belong into the file', () => {
    expect(mistakesIn(`alerts:\n  webhook:\n    secret: whsec_hunter2\n${ONE_RUNNER}`)).toEqual([
      'runward.yaml:2 alerts.webhook.url: found nothing; allowed: an https address without user and fragment, such as https://alerts.example.com/runward; http only to this computer',
      expect.stringMatching(/^runward\.yaml:2 alerts\.webhook\.secretFile: found nothing; allowed: the path/),
      'runward.yaml:3 alerts.webhook.secret: found an unknown key; allowed: no secrets in this file; name a file that holds it by secretFile',
    ]);
    expect(mistakesIn(`alerts: { webhook: { url: 'https://a.example', secretfile: hook } }\n${ONE_RUNNER}`)).toContainEqual(
      expect.stringContaining('Did you mean secretFile?'),
    );
  });

  test('the result is frozen throughout', () => {
    write('runward.yaml', TWO_RUNNERS);
    const config = load();
    for (const part of [
      config,
      config.runners,
      config.runners[0],
      config.runners[0]?.neighbours,
      config.queue.stale,
      config.github.credentials,
    ]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });

  test('every mistake is told at once, with its line, from top to bottom', () => {
    expect(
      mistakesIn(`mode: wach
hosts: mac
vm:
  autostart: true
queue:
  stale: { mode: on, hours: 0 }
  writesPerMinute: 181
budgets:
  recoveries:
    per: 6 hours
health: { every: 30s }
scopes:
  - repo: octo-org
    runners:
      - name: builder
        lables: [x]
        labels: bpf-lsm
      - directory: opt
        labels: []
  - org: octo-org
    repo: octo-org/widgets
    runners: []
`),
    ).toEqual([
      'runward.yaml:1 mode: found "wach"; allowed: act or watch. Did you mean watch?',
      expect.stringMatching(/^runward\.yaml:2 hosts: found an unknown key; allowed: mode, host, .*\. Did you mean host\?$/),
      'runward.yaml:4 vm.autostart: found true; allowed: wanted, always or never',
      'runward.yaml:6 queue.stale.hours: found 0; allowed: a number of hours above 0',
      'runward.yaml:7 queue.writesPerMinute: found 181; allowed: a whole number from 1 to 120: an act takes about 7 of the 900 points that GitHub gives a token in a minute, so more would meet its limit',
      'runward.yaml:10 budgets.recoveries.per: found "6 hours"; allowed: a duration from 1m to 30d, such as 6h',
      'runward.yaml:11 health.every: found "30s"; allowed: a duration from 1m to 1h, such as 5m',
      'runward.yaml:13 scopes[0].repo: found "octo-org"; allowed: a repository as owner/name, such as octo-org/widgets',
      expect.stringMatching(/^runward\.yaml:16 scopes\[0\]\.runners\[0\]\.lables: found an unknown key; allowed: .*Did you mean labels\?$/),
      'runward.yaml:17 scopes[0].runners[0].labels: found "bpf-lsm"; allowed: a list of labels, such as [bpf-lsm]',
      expect.stringMatching(/^runward\.yaml:18 scopes\[0\]\.runners\[1\]\.name: found nothing; allowed: the runner's name/),
      expect.stringMatching(/^runward\.yaml:18 scopes\[0\]\.runners\[1\]\.directory: found "opt"; allowed: an absolute path/),
      'runward.yaml:20 scopes[1].org: found "octo-org"; allowed: either repo or org, not both',
      'runward.yaml:22 scopes[1].runners: found an empty list; allowed: at least one runner',
    ]);
  });

  test.each([
    ['name: 7', 'found 7; allowed: .*; put 7 in quotes$'],
    ['name: null', 'found nothing; allowed: the runner'],
    ['name: {}', 'found a mapping; allowed: the runner'],
  ])('%s', (name, problem) => {
    expect(mistakesIn(ONE_RUNNER.replace('name: builder', name))[0]).toMatch(
      new RegExp(`^runward\\.yaml:4 scopes\\[0\\]\\.runners\\[0\\]\\.name: ${problem}`),
    );
  });

  test('neither repo nor org is a mistake of the scope', () => {
    expect(mistakesIn('scopes:\n  - runners:\n      - { name: a, labels: [] }\n')).toEqual([
      'runward.yaml:2 scopes[0].repo: found nothing; allowed: either repo or org',
    ]);
  });

  test('a runner name twice in a scope is a mistake, whatever its case, and once in each of two scopes is none', () => {
    const second = TWO_RUNNERS.replace('tester,', 'Builder,');
    write('runward.yaml', second);
    expect(load().runners).toHaveLength(2);
    expect(mistakesIn(second.replace('org: octo-org', 'repo: Octo-Org/widgets'))).toEqual([
      'runward.yaml:7 scopes[1].runners[0].name: found "Builder" a second time; allowed: each name once in Octo-Org/widgets',
    ]);
  });

  test('two runners in one directory of one machine are a mistake', () => {
    expect(mistakesIn(TWO_RUNNERS.replace('/opt/tester', '/opt/builder/'))).toEqual([
      expect.stringMatching(
        /^runward\.yaml:7 scopes\[1\]\.runners\[0\]\.directory: found "\/opt\/builder" on VM builders, where octo-org\/widgets\/builder lives/,
      ),
    ]);
  });

  test("a group for a repository's runner is a mistake", () => {
    expect(mistakesIn(ONE_RUNNER.replace('name: builder', 'name: builder\n        group: g'))).toEqual([
      expect.stringMatching(/^runward\.yaml:5 scopes\[0\]\.runners\[0\]\.group: found "g"; allowed: no group/),
    ]);
  });

  test('anchors and merge keys are understood, and mistakes below them have the line of the anchor', () => {
    const content = `scopes:
  - repo: octo-org/widgets
    runners:
      - &first
        name: builder-1
        directory: /opt/builder
        labels: [bpf-lsm]
      - <<: *first
        name: builder-2
`;
    write('runward.yaml', content);
    expect(load().runners).toMatchObject([
      { machine: 'builder-1' },
      { runner: 'builder-2', machine: 'builder-2', directory: '/opt/builder', labels: ['bpf-lsm'] },
    ]);
    expect(mistakesIn(content.replace('/opt/builder', 'opt'))).toEqual([
      expect.stringMatching(/^runward\.yaml:6 scopes\[0\]\.runners\[0\]\.directory/),
      expect.stringMatching(/^runward\.yaml:6 scopes\[0\]\.runners\[1\]\.directory/),
    ]);
  });

  test('a secret in the file is never shown, and it is told where it belongs', () => {
    const mistakes = mistakesIn(`github:
  token: ghp_1234567890
  serverUrl: https://me:hunter2@github.example.com
mode: github_pat_1234567890
cache: ghs_123456_eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxMjMifQ.c2lnbmF0dXJl
${ONE_RUNNER}`);
    expect(mistakes.join('\n')).not.toMatch(/1234567890|hunter2|eyJ|c2ln/);
    expect(mistakes).toEqual([
      expect.stringMatching(/^runward\.yaml:2 github\.token: found an unknown key; allowed: no secrets in this file; .*GH_TOKEN/),
      expect.stringMatching(/^runward\.yaml:3 github\.serverUrl: found "https:\/\/\[secret\]@/),
      expect.stringMatching(/^runward\.yaml:4 mode: found "\[secret\]"/),
      expect.stringMatching(/^runward\.yaml:5 cache: found "\[secret\]"/),
    ]);
  });

  test('names that every object has are unknown keys', () => {
    expect(mistakesIn(`__proto__: { mode: watch }\nconstructor: 1\n${ONE_RUNNER}`)).toEqual([
      expect.stringMatching(/__proto__: found an unknown key/),
      expect.stringMatching(/constructor: found an unknown key/),
    ]);
  });

  test('a long value is cut', () => {
    expect(mistakesIn(`mode: ${'x'.repeat(500)}\n${ONE_RUNNER}`)[0]?.length).toBeLessThan(200);
  });

  test('mistakes of file and environment come together', () => {
    expect(mistakesIn(`mode: on\n${ONE_RUNNER}`, { STALE_JOB_HOURS: 'x' }).map((line) => line.split(': ')[0])).toEqual([
      'runward.yaml:1 mode',
      'STALE_JOB_HOURS',
    ]);
  });
});

describe('paths', () => {
  const repo = { REPO: 'octo-org/widgets' };

  test.each([
    ['linux', {}, 'home/.local/state/runward'],
    ['linux', { XDG_STATE_HOME: '/var/state' }, '/var/state/runward'],
    ['linux', { XDG_STATE_HOME: 'relative' }, 'home/.local/state/runward'],
    ['darwin', { XDG_STATE_HOME: '/var/state' }, 'home/Library/Application Support/runward'],
    ['darwin', { RUNWARD_HOME: '/srv/runward' }, '/srv/runward'],
    ['linux', { RUNWARD_HOME: 'relative' }, 'relative'],
    ['linux', { RUNWARD_HOME: '~/runward' }, 'home/runward'],
  ] as const)('data folder on %s with %j', (platform, variables, expected) => {
    const config = load({ ...repo, ...variables }, { platform });
    expect(config.home).toBe(expected.startsWith('/') ? expected : join(folder, expected));
    expect(config.sealingKeyFile).toBe(join(config.home, 'sealing.key'));
  });

  test('the sealing key and Multipass can be elsewhere', () => {
    expect(load({ ...repo, RUNWARD_SEALING_KEY_FILE: 'key', MULTIPASS: './bin/multipass' })).toMatchObject({
      sealingKeyFile: join(folder, 'key'),
      multipass: join(folder, 'bin/multipass'),
    });
    expect(load({ ...repo, MULTIPASS: 'multipass.exe' }).multipass).toBe('multipass.exe');
  });
});

describe('the package of the runner', () => {
  const packageOf = (written: string) => {
    write('runward.yaml', `${written}\n${ONE_RUNNER}`);
    return load().package;
  };

  test('comes from GitHub, from a mirror, or from a file of the host', () => {
    expect(packageOf('')).toEqual({ kind: 'github' });
    expect(packageOf('package: { mirror: https://mirror.example.com/runner/ }')).toEqual({
      kind: 'mirror',
      address: 'https://mirror.example.com/runner',
    });
    expect(packageOf('package: { mirror: http://127.0.0.1:8080 }')).toMatchObject({ kind: 'mirror' });
    const file = 'actions-runner-linux-x64-2.337.0.tar.gz';
    expect(packageOf(`package: { file: ${file} }`)).toEqual({ kind: 'file', path: join(folder, file), sha256: null });
    expect(packageOf(`package: { file: /srv/${file}, sha256: 'sha256:${'AB'.repeat(32)}' }`)).toEqual({
      kind: 'file',
      path: `/srv/${file}`,
      sha256: 'ab'.repeat(32),
    });
  });

  test.each([
    ['{ mirror: http://mirror.example.com }', 'an https address'],
    ['{ mirror: "https://user:pass@mirror.example.com" }', 'an https address'],
    ['{ file: /srv/runner.tar.gz }', "the path of a package under GitHub's name"],
    ['{ file: /srv/actions-runner-linux-x64-2.337.0.tar.gz, mirror: https://a.example }', 'either mirror or file, not both'],
    [`{ sha256: ${'a'.repeat(64)} }`, 'only with file'],
    ['{ file: /srv/actions-runner-linux-x64-2.337.0.tar.gz, sha256: abc }', 'a SHA-256 of 64 hex digits'],
  ])('is refused as %s', (written, allowed) => {
    expect(mistakesIn(`package: ${written}\n${ONE_RUNNER}`)).toEqual([expect.stringContaining(allowed)]);
  });

  test('is not needed by a runner that its own programs register, and that is told', () => {
    write('runward.yaml', `${ONE_RUNNER}        registration: from-runner-directory\n`);
    const config = load();
    expect(config.runners).toMatchObject([{ registration: 'from-runner-directory' }]);
    expect(config.warnings).toEqual([expect.stringContaining('programs that its jobs can change')]);
  });
});
