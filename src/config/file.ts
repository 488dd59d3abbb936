import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { isAlias, isMap, isNode, isPair, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import type { Document, Pair } from 'yaml';
import type { z } from 'zod';
import { describeFound } from './mistake.ts';
import type { Mistake, MistakePlace } from './mistake.ts';
import { keysAt } from './schema.ts';
import { suggest } from '../domain/suggest.ts';

export type KeyPath = readonly (string | number)[];

/** A file of configuration as it was written, before any rule but YAML's own is applied to it. */
export interface WrittenFile {
  readonly path: string;
  readonly content: unknown;
  /** A mistake at the line of the deepest part of `path` that is there. */
  mistakeAt(path: KeyPath, found: string, allowed: string): Mistake;
}

export type FileReading =
  | { readonly kind: 'read'; readonly file: WrittenFile }
  | { readonly kind: 'absent' }
  | { readonly kind: 'wrong'; readonly mistakes: readonly Mistake[] };

/** Reads YAML; anchors, aliases and merge keys are understood. `cwd` only shortens the path that mistakes show. */
export function readConfigFile(path: string, cwd: string): FileReading {
  const shown = shortenPath(path, cwd);
  const wrong = (line: number, found: string, allowed: string): FileReading => ({
    kind: 'wrong',
    mistakes: [{ place: { kind: 'file', file: shown, line }, key: '', found, allowed }],
  });

  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    return code === 'ENOENT' || code === 'ENOTDIR' ? { kind: 'absent' } : wrong(1, `an unreadable file (${code})`, 'a readable YAML file');
  }
  let written: string;
  try {
    written = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return wrong(1, 'bytes that are not UTF-8', 'text in UTF-8');
  }

  const lines = new LineCounter();
  const document = parseDocument(written, { lineCounter: lines, merge: true, prettyErrors: false });
  const broken = [...document.errors, ...document.warnings];
  if (broken.length > 0) {
    return {
      kind: 'wrong',
      mistakes: broken.map((error) => ({
        place: { kind: 'file', file: shown, line: lines.linePos(error.pos[0]).line },
        key: '',
        found: `broken YAML (${error.message})`,
        allowed: error.code === 'DUPLICATE_KEY' ? 'each key once' : 'valid YAML',
      })),
    };
  }
  let content: unknown;
  try {
    content = document.toJS();
  } catch (error) {
    return wrong(1, `aliases that cannot be resolved (${error instanceof Error ? error.message : String(error)})`, 'valid YAML');
  }
  if (content === null || content === undefined) {
    return wrong(1, 'an empty file', 'settings, such as scopes; or no file at all');
  }

  const placeOf = (keys: KeyPath): MistakePlace => ({
    kind: 'file',
    file: shown,
    line: lines.linePos(offsetOf(document, keys)).line,
  });
  return {
    kind: 'read',
    file: {
      path,
      content,
      mistakeAt: (keys, found, allowed) => ({
        place: placeOf(keys),
        key: formatKey(keys),
        found,
        allowed,
      }),
    },
  };
}

function shortenPath(path: string, cwd: string): string {
  const fromHere = relative(cwd, path);
  return fromHere.startsWith('..') ? path : fromHere;
}

/** `scopes[0].runners[1].name` */
function formatKey(path: KeyPath): string {
  return path
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`))
    .join('')
    .replace(/^\./, '');
}

/** Where in the text the deepest part of the path that is there begins: a mapping's key, a list's item. */
function offsetOf(document: Document, path: KeyPath): number {
  let node: unknown = document.contents;
  let offset = isNode(node) ? (node.range?.[0] ?? 0) : 0;
  for (const step of path) {
    node = isAlias(node) ? node.resolve(document) : node;
    const next = isMap(node) ? findPair(document, node.items, step) : isSeq(node) ? node.items[Number(step)] : undefined;
    const start = isPair(next) ? next.key : next;
    if (!isNode(start)) {
      break;
    }
    offset = start.range?.[0] ?? offset;
    node = isPair(next) ? next.value : next;
  }
  return offset;
}

/** The pair of this key, in the mapping itself or in one that is merged into it by `<<`. */
function findPair(document: Document, pairs: readonly Pair[], key: string | number): Pair | undefined {
  const own = pairs.find((pair) => isScalar(pair.key) && String(pair.key.value) === String(key));
  if (own !== undefined) {
    return own;
  }
  for (const pair of pairs) {
    if (isScalar(pair.key) && pair.key.source === '<<') {
      const merged = isAlias(pair.value) ? pair.value.resolve(document) : pair.value;
      const found = isMap(merged) ? findPair(document, merged.items, key) : undefined;
      if (found !== undefined) {
        return found;
      }
    }
  }
  return undefined;
}

/** What the schema says against the file, as mistakes; one for each unknown key. */
export function explainIssues(file: WrittenFile, issues: readonly z.core.$ZodIssue[]): Mistake[] {
  return issues.flatMap((issue) => {
    const path = issue.path.map((step) => (typeof step === 'number' ? step : String(step)));
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => file.mistakeAt([...path, key], 'an unknown key', allowedKeys(key, path)));
    }
    const value = valueAt(file.content, path);
    return [file.mistakeAt(path, describeFound(value), `${issue.message}${hint(value, issue)}`)];
  });
}

function allowedKeys(key: string, path: KeyPath): string {
  const known = keysAt(path) ?? [];
  if (/token|secret|password|private.?key/i.test(key) && suggest(key, known) === null) {
    return known.includes('secretFile')
      ? 'no secrets in this file; name a file that holds it by secretFile'
      : 'no secrets in this file; give a token by GH_TOKEN or GH_TOKEN_FILE in the environment';
  }
  return `${known.join(', ')}${didYouMean(key, known)}`;
}

function hint(value: unknown, issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_value') {
    return typeof value === 'string' ? didYouMean(value, issue.values.map(String)) : '';
  }
  const isUnquoted =
    issue.code === 'invalid_type' && issue.expected === 'string' && (typeof value === 'number' || typeof value === 'boolean');
  return isUnquoted ? `; put ${String(value)} in quotes` : '';
}

function didYouMean(found: string, known: readonly string[]): string {
  const nearest = suggest(found, known);
  return nearest === null ? '' : `. Did you mean ${nearest}?`;
}

function valueAt(content: unknown, path: KeyPath): unknown {
  return path.reduce<unknown>(
    (value, step) => (typeof value === 'object' && value !== null ? (value as Record<string | number, unknown>)[step] : undefined),
    content,
  );
}
