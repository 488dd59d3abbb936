// `npm run bench [-- --runs N] [SECTION...]`: measures what docs/performance.md claims.

import { parseArgs } from 'node:util';
import { demoSection } from './demo.ts';
import { installSection } from './install.ts';
import { failuresSection } from './failures.ts';
import { guestSection } from './guest.ts';
import { looksSection } from './looks.ts';
import { passSection } from './pass.ts';
import { queueSection } from './queue.ts';
import { recoverySection } from './recovery.ts';
import { startSection } from './start.ts';
import { table } from './statistics.ts';
import { verbsSection } from './verbs.ts';
import { workerSection } from './worker.ts';

const SECTIONS = {
  recovery: recoverySection,
  pass: passSection,
  looks: looksSection,
  queue: queueSection,
  failures: failuresSection,
  worker: workerSection,
  start: startSection,
  verbs: verbsSection,
  demo: demoSection,
  install: installSection,
  guest: guestSection,
} as const;
type Section = keyof typeof SECTIONS;

/** Of a section unless `--runs` says otherwise. */
const RUNS = 20;
/** 27 warm and 3 cold. */
const DEMO_RUNS = 30;

const { values, positionals } = parseArgs({ allowPositionals: true, options: { runs: { type: 'string' } } });
const wanted = values.runs === undefined ? null : Number(values.runs);
const unknown = positionals.filter((name) => !(name in SECTIONS));
if (unknown.length > 0 || (wanted !== null && (!Number.isInteger(wanted) || wanted < 1))) {
  process.stderr.write(`Usage: npm run bench [-- --runs N] [SECTION...]\nSections: ${Object.keys(SECTIONS).join(', ')}\n`);
  process.exit(2);
}
for (const name of (positionals.length === 0 ? Object.keys(SECTIONS) : positionals) as Section[]) {
  const runs = wanted ?? (name === 'demo' ? DEMO_RUNS : RUNS);
  process.stderr.write(`${name}, ${runs} runs …\n`);
  process.stdout.write(`\n${name}\n`);
  table(await SECTIONS[name](runs));
}
process.exit(0);
