// Extracts from GitHub's own GraphQL schema (npm @octokit/graphql-schema) the types that are asked for, with their fields and arguments.
// Run after asking for another one: node scripts/extract-graphql.ts

import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const PACKAGE = '@octokit/graphql-schema@15.26.1';
const SCHEMA = 'package/schema.json';
const EXTRACT = new URL('../test/sandbox/github/generated/graphql-extract.json', import.meta.url);
const TYPES: readonly string[] = ['Query', 'Repository', 'Ref', 'CheckRun', 'CheckAnnotationConnection', 'CheckAnnotation'];

interface TypeOf {
  readonly kind: string;
  readonly name: string | null;
  readonly ofType: TypeOf | null;
}

interface Type {
  readonly name: string;
  readonly interfaces: readonly { readonly name: string }[];
  readonly fields: readonly { readonly name: string; readonly type: TypeOf; readonly args: readonly Argument[] }[];
}

interface Argument {
  readonly name: string;
  readonly type: TypeOf;
  readonly defaultValue: string | null;
}

const run = promisify(execFile);
const { types } = await readSchema();
const extracted = types
  .filter(({ name }) => TYPES.includes(name))
  .map(({ name, interfaces, fields }) => [
    name,
    { interfaces: interfaces.map((each) => each.name), fields: Object.fromEntries(fields.map((field) => [field.name, summaryOf(field)])) },
  ]);
await writeFile(EXTRACT, `${JSON.stringify({ source: `${PACKAGE} ${SCHEMA}`, types: Object.fromEntries(extracted) }, null, 1)}\n`);

async function readSchema(): Promise<{ readonly types: readonly Type[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'graphql-'));
  try {
    const { stdout: tarball } = await run('npm', ['pack', '--silent', PACKAGE], { cwd: folder });
    const { stdout } = await run('tar', ['-xzOf', tarball.trim(), SCHEMA], { cwd: folder, maxBuffer: 64 * 1024 * 1024 });
    return (JSON.parse(stdout) as { readonly __schema: { readonly types: readonly Type[] } }).__schema;
  } finally {
    await rm(folder, { recursive: true });
  }
}

function summaryOf({ type, args }: Type['fields'][number]): object {
  return {
    type: innermost(type),
    args: Object.fromEntries(args.map((each) => [each.name, written(each.type)])),
    required: args.filter((each) => each.type.kind === 'NON_NULL' && each.defaultValue === null).map(({ name }) => name),
  };
}

function innermost({ name, ofType }: TypeOf): string {
  return name ?? (ofType === null ? '' : innermost(ofType));
}

/** As a query declares it, such as `[ID!]!`. */
function written({ kind, name, ofType }: TypeOf): string {
  const inner = name ?? (ofType === null ? '' : written(ofType));
  return kind === 'NON_NULL' ? `${inner}!` : kind === 'LIST' ? `[${inner}]` : inner;
}
