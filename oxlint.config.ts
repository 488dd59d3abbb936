// Lint rules, and the rule of which room of src may import what (docs/architecture.md tells why).

import { defineConfig, type OxlintOverride } from 'oxlint';

interface Room {
  /** What it may import: rooms and single files of src (`…/`, `….ts`), packages and `node:` modules. Its own files need no mention. */
  readonly imports: readonly string[];
  /** Rooms and files of which it may import types alone. */
  readonly types?: readonly string[];
}

const ANY_PACKAGE = '';
const ADAPTERS = ['github/', 'machine/', 'alerts/'];
const COMPOSED = ['domain/', 'workflows/', 'activities/', ...ADAPTERS, 'config/'];

/** Nobody imports `cli` and nobody but `cli` imports `worker`: they put everything together. `sandbox` is for tests and the demo. */
export const ROOMS = {
  domain: { imports: [] },
  workflows: { imports: ['domain/', '@temporalio/workflow', '@temporalio/common'], types: ['activities/contract.ts'] },
  activities: {
    imports: [
      'domain/',
      'github/port.ts',
      'machine/port.ts',
      'alerts/port.ts',
      '@temporalio/activity',
      '@temporalio/common',
      '@temporalio/client',
      'node:',
    ],
  },
  github: { imports: ['domain/', '@octokit/', 'execa', 'zod', 'node:'] },
  machine: { imports: ['domain/', 'execa', 'zod', 'node:'] },
  alerts: { imports: ['domain/', 'execa', 'zod', 'node:'] },
  config: { imports: ['domain/', 'zod', 'yaml', 'node:'] },
  sandbox: { imports: ['machine/port.ts', 'zod', 'node:'], types: ['domain/'] },
  dashboard: { imports: ['@temporalio/client', 'node:'], types: ['domain/'] },
  worker: { imports: [...COMPOSED, ANY_PACKAGE] },
  cli: { imports: [...COMPOSED, 'dashboard/', 'worker/', ANY_PACKAGE] },
} satisfies Record<string, Room>;

const DEMO: Room = { imports: [...ROOMS.cli.imports, 'sandbox/'] };
/** `npm run worker` is the command's verb `worker`. */
const WORKER_MAIN: Room = { imports: ['cli/main.ts'] };

export default defineConfig({
  plugins: ['typescript', 'unicorn', 'oxc', 'import', 'promise', 'vitest'],
  categories: { correctness: 'error' },
  ignorePatterns: ['/build/', '/dist/'],
  rules: {
    eqeqeq: ['error', 'always', { null: 'ignore' }],
    'no-var': 'error',
    'prefer-const': 'error',
    'import/no-cycle': 'error',
    'import/no-self-import': 'error',
    'typescript/await-thenable': 'error',
    'typescript/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
    'typescript/no-deprecated': 'error',
    'typescript/no-explicit-any': 'error',
    'typescript/no-floating-promises': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/no-non-null-assertion': 'error',
    'typescript/only-throw-error': 'error',
    'typescript/prefer-nullish-coalescing': 'error',
    'typescript/return-await': ['error', 'error-handling-correctness-only'],
    'typescript/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    'typescript/unbound-method': 'error',
    'unicorn/prefer-node-protocol': 'error',
    // The second argument is the message of a failure.
    'vitest/valid-expect': ['error', { maxArgs: 2 }],
    // Hooks and named checks assert as well.
    'vitest/expect-expect': 'off',
    'vitest/no-standalone-expect': 'off',
    // A property states what follows from what.
    'vitest/no-conditional-expect': 'off',
    // `then` is a key of the configuration.
    'unicorn/no-thenable': 'off',
    // Spreading `...['-option', 'value']` keeps the words of a command line in pairs.
    'unicorn/no-useless-spread': 'off',
  },
  overrides: [
    ...Object.entries(ROOMS).flatMap(([name, room]) => importRule(name, room, ['*.ts', '*/*.ts', '*/*/*.ts'])),
    ...importRule('cli', DEMO, ['demo.ts', 'demo/*.ts', 'program/demo.ts']),
    ...importRule('worker', WORKER_MAIN, ['main.ts']),
    { files: ['test/**/*.ts'], rules: { 'typescript/no-non-null-assertion': 'off' } },
  ],
});

/** The rule compares the text of an import and not the file that it means, so each depth of folder has its own `../`. */
function importRule(name: string, room: Room, fileGlobs: readonly string[]): OxlintOverride[] {
  const types = room.types ?? [];
  const files = room.imports.filter((word) => /^[a-z]+\//.test(word));
  const packages = room.imports.filter((word) => !files.includes(word));
  const message = `${name} may import ${[...room.imports, ...types.map((word) => `types of ${word}`)].join(', ') || 'nothing'}`;
  return fileGlobs.map((glob) => {
    const toSrc = `^${'\\.\\./'.repeat(glob.split('/').length)}`;
    const patterns = [
      { regex: toSrc + otherThan([...files, ...types].map(asBeginning)), message },
      { regex: '^\\./\\.\\./', message },
      ...(packages.includes(ANY_PACKAGE) ? [] : [{ regex: `^${otherThan(['./', '../', ...packages.map(asBeginning)])}`, message }]),
      ...types.map((word) => ({ regex: toSrc + escaped(asBeginning(word)), allowTypeImports: true, message })),
    ];
    return { files: [`src/${name}/${glob}`], rules: { 'no-restricted-imports': ['error', { patterns }] } };
  });
}

/** A word that ends in `/` or `:` stands for all that begins with it, any other for itself alone. */
function asBeginning(word: string): string {
  return /[/:]$/.test(word) ? word : `${word}$`;
}

/** A regular expression for every text but those with one of the beginnings, spelt out since the linter's expressions know no look-ahead. */
function otherThan(beginnings: readonly string[]): string {
  const byLetter = Map.groupBy(beginnings, (beginning) => beginning.charAt(0));
  const mayEndHere = byLetter.delete('$');
  const endsTooEarly = mayEndHere ? [] : ['$'];
  const otherLetter = byLetter.size === 0 ? '.' : `[^${[...byLetter.keys()].map(escaped).join('')}]`;
  const differsLater = [...byLetter]
    .filter(([letter, same]) => !same.includes(letter))
    .map(([letter, same]) => escaped(letter) + otherThan(same.map((beginning) => beginning.slice(1))));
  return `(${[...endsTooEarly, otherLetter, ...differsLater].join('|')})`;
}

function escaped(text: string): string {
  return text.replace(/[.^\-\]]/g, '\\$&');
}
