// The worker's process that bench/worker.ts starts: ADDRESS FOLDER [BUNDLE]. Says `ready` once it polls.

import { join } from 'node:path';
import { createGitHub } from '../src/github/github.ts';
import { Secret } from '../src/domain/secret.ts';
import { SandboxHost } from '../src/sandbox/machine/sandbox-host.ts';
import { SandboxMachine } from '../src/sandbox/machine/sandbox-machine.ts';
import { runParts } from '../src/worker/run.ts';

const [address = '', folder = '', bundle = ''] = process.argv.slice(2);
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
await runParts(
  {
    temporal: { connectionOptions: { address }, namespace: 'default', source: 'the bench', uiUrl: null },
    main: {
      github: createGitHub({ baseUrl: 'http://127.0.0.1:9', token: () => new Secret('none') }),
      resolveRunner: () => ({ problem: 'the bench has no runner' }),
    },
    host: { name: 'bench', machine: new SandboxMachine(), computer: new SandboxHost() },
    sealingKeyFile: join(folder, 'sealing.key'),
    ownedRetentionDays: null,
    logLevel: 'ERROR',
    onReady: () => process.stdout.write('ready\n'),
    ...(bundle === '' ? {} : { workflowBundle: { codePath: bundle } }),
  },
  stop.signal,
);
process.exit(0);
