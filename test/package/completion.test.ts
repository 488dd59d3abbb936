// `runward completion SHELL`, sourced into the real shells: what a Tab gives.

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT } from './npm.ts';

const folder = mkdtempSync(join(tmpdir(), 'runward-completion-'));

beforeAll(() => {
  const command = join(folder, 'runward');
  writeFileSync(command, `#!/bin/sh\nexec '${process.execPath}' '${ROOT}/src/cli/main.ts' "$@"\n`);
  chmodSync(command, 0o755);
});

afterAll(() => rmSync(folder, { recursive: true }));

/** What is on the command line, and what may follow. */
const LINES: readonly (readonly [line: string, words: readonly string[]])[] = [
  ['runward expl', ['explain']],
  ['runward queue c', ['cancel-stale', 'cancel-superseded']],
  ['runward queue pl', ['plan']],
  ['runward recover --dry', ['--dry-run']],
  ['runward demo --break ', ['service', 'registration', 'clock', 'vm', 'config', 'listener']],
  ['runward completion f', ['fish']],
  // `complete`, by which these scripts ask, is none.
  ['runward complet', ['completion']],
];

/** Runs a shell, and answers with the words that it has printed for each line, in the order of the alphabet. */
function offeredBy(shell: string, ...args: readonly string[]): readonly (readonly string[])[] {
  const { status, stdout, stderr, error } = spawnSync(shell, args, {
    encoding: 'utf8',
    timeout: 100_000,
    env: { PATH: `${folder}:${process.env['PATH']}`, HOME: folder, TERM: 'dumb' },
    cwd: folder,
  });
  expect(status, `${error ?? ''}${stdout}${stderr}`).toBe(0);
  expect(stderr).toBe('');
  const answers = stdout.split('over\n').slice(0, -1);
  return answers.map((answer) => inOrder(answer.split('\n').map((word) => word.replace(/[:\t].*/, ''))));
}

/** Each once. */
function inOrder(words: readonly string[]): readonly string[] {
  return [...new Set(words)].filter((word) => word !== '').toSorted((one, other) => one.localeCompare(other));
}

const lines = LINES.map(([line]) => line);
const expected = LINES.map(([, words]) => inOrder(words));

/** As readline does: it calls the registered function with the line, and takes what that leaves in COMPREPLY. */
const BASH = `
. /usr/share/bash-completion/bash_completion
. <(runward completion bash)
registered=$(complete -p runward)
press_tab=\${registered#*-F } press_tab=\${press_tab%% *}
compopt() { :; }
for line in "$@"; do
  COMP_LINE=$line COMP_POINT=\${#line}
  read -ra COMP_WORDS <<<"$line"
  case $line in *' ') COMP_WORDS+=('') ;; esac
  COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
  "$press_tab"
  printf '%s\\n' "\${COMPREPLY[@]}" over
done`;

/** In a terminal of its own, since completion is a part of its line editor; what is offered is written to a file, too. */
const ZSH = `
zmodload zsh/zpty
zpty terminal zsh -f -i
zpty -w terminal "PS1= RPS1= ; autoload -Uz compinit && compinit -u && source <(runward completion zsh)"
zpty -w terminal 'compadd() { builtin compadd -O offered "$@"; print -rl -- $offered >>$HOME/offered; builtin compadd "$@" }'
zpty -w terminal 'finish() { zle kill-whole-line; touch $HOME/over }; zle -N finish; bindkey "^X^F" finish; touch $HOME/ready'
until [ -e $HOME/ready ]; do sleep 0.05; done
for line in "$@"; do
  zpty -w -n terminal "$line"$'\\t\\C-x\\C-f'
  until [ -e $HOME/over ]; do sleep 0.05; done
  cat $HOME/offered
  echo over
  rm $HOME/offered $HOME/over
done
zpty -d terminal`;

const FISH = `
runward completion fish | source
for line in $argv
  complete --do-complete $line
  echo over
end`;

test.each([
  ['bash', ['--norc', '-c', BASH, 'bash']],
  ['zsh', ['-f', '-c', ZSH, 'zsh']],
  ['fish', ['--no-config', '--command', FISH]],
])('%s completes verbs, flags and their values', (shell, options) => {
  expect(offeredBy(shell, ...options, ...lines)).toEqual(expected);
});
