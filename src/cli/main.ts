#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { type Command, CommanderError } from 'commander';
import { addCompleteVerb, COMPLETE_VERB } from './completion.ts';
import { CommandFailure, EXIT, type ExitCode } from './exit.ts';
import { invocationOf, printJson, say } from './invocation.ts';
import { translateArguments } from './arguments.ts';
import { createProgram } from './program/program.ts';

const { version: VERSION, engines } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
  engines: { node: string };
};

process.exitCode = await run(process.argv.slice(2));

async function run(given: readonly string[]): Promise<ExitCode> {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (interrupted.signal.aborted) {
        // A second signal means at once; what is durable goes on where it stopped.
        process.exit(EXIT.interrupted);
      }
      interrupted.abort();
    });
  }
  try {
    refuseOldNode();
    return await runVerb(given, interrupted.signal);
  } catch (error) {
    const exitCode = tell(error);
    if (exitCode !== EXIT.done && wantsJson(given)) {
      printJson({ error: { code: codeOf(error), message: textOf(error) } });
    }
    return exitCode;
  }
}

async function runVerb(given: readonly string[], interrupted: AbortSignal): Promise<ExitCode> {
  const translation = translateArguments(given, { isTerminal: process.stdout.isTTY });
  if (translation.kind === 'mistake') {
    throw new CommandFailure(EXIT.usage, translation.message);
  }
  if (translation.say !== null) {
    say(translation.say);
  }
  let exitCode: ExitCode = EXIT.done;
  const program = createProgram(VERSION, {
    invocation: invocationOf(interrupted),
    end: (code) => {
      exitCode = code;
    },
  });
  if (translation.arguments[0] === COMPLETE_VERB) {
    await addCompleteVerb(program);
  }
  await program.parseAsync(withoutHelpOfNothing(program, translation.arguments), { from: 'user' });
  return exitCode;
}

/** `--help` after a verb that does not exist asks for nothing: it leaves the verb to be refused. */
function withoutHelpOfNothing(program: Command, words: readonly string[]): readonly string[] {
  let command = program;
  for (const [index, word] of words.entries()) {
    if (word.startsWith('-') || command.commands.length === 0) {
      break;
    }
    const next = command.commands.find((each) => each.name() === word);
    if (next === undefined) {
      return words.slice(0, index + 1);
    }
    command = next;
  }
  return words;
}

/** npm only warns if Node is older than a package wants. */
function refuseOldNode(): void {
  const oldest = engines.node.replace('>=', '');
  if (Number.parseInt(process.versions.node, 10) < Number(oldest)) {
    throw new CommandFailure(
      EXIT.usage,
      `Runward needs Node ${oldest} or newer, and ${process.execPath} is Node ${process.versions.node}: install a newer one.`,
    );
  }
}

/** Says what went wrong, unless commander has done so already. */
function tell(error: unknown): ExitCode {
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  }
  if (error instanceof CommandFailure) {
    say(error.message);
    return error.exitCode;
  }
  say(`Runward failed unexpectedly: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return EXIT.bad;
}

function codeOf(error: unknown): string {
  return error instanceof CommanderError ? 'usage' : error instanceof CommandFailure ? error.code : 'unexpected';
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message.replace(/^error: /, '') : String(error);
}

/** Also for a command line that could not be read. */
function wantsJson(given: readonly string[]): boolean {
  return given.includes('--json');
}
