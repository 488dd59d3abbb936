// The fake's own program: main.ts FOLDER ARGUMENT…

import { appendFileSync, closeSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FakeRule, STANDARD_INPUT_COMMANDS } from './index.ts';

const [folder = '', ...args] = process.argv.slice(2);

const { id, rules } = JSON.parse(readFileSync(path.join(folder, 'script.json'), 'utf8')) as {
  id: number;
  rules: FakeRule[];
};
const rule = rules.find((candidate, index) => fits(candidate) && hasTimesLeft(candidate, index));

if (rule?.ignoresTerm) process.on('SIGTERM', () => {});
const stdin = STANDARD_INPUT_COMMANDS.includes(args[0] ?? '') ? await text(process.stdin) : '';
appendFileSync(path.join(folder, 'calls.jsonl'), `${JSON.stringify({ args, stdin, cwd: process.cwd(), env: process.env })}\n`);

if (rule === undefined) {
  process.stderr.write(`fake multipass: no rule fits: ${args.join(' ')}\n`);
  process.exitCode = 2;
} else {
  process.stdout.write(rule.stdout ?? '');
  process.stderr.write(rule.stderr ?? '');
  if (rule.hangs) setInterval(() => {}, 60_000);
  await sleep(rule.delayMs ?? 0);
  process.exitCode = rule.exitCode ?? 0;
}

function fits(candidate: FakeRule): boolean {
  return candidate.args.every((word, index) => args[index] === word);
}

/** Each use claims a file of its own, so that calls at the same time never share one. */
function hasTimesLeft({ times }: FakeRule, index: number): boolean {
  if (times === undefined) return true;
  for (let use = 0; use < times; use += 1) {
    try {
      closeSync(openSync(path.join(folder, `used.${id}.${index}.${use}`), 'wx'));
      return true;
    } catch {
      // Claimed by an earlier call.
    }
  }
  return false;
}
