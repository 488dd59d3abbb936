// Extracts from GitHub's own OpenAPI description (npm @octokit/openapi, 385 MB unpacked) the answers of the endpoints that
// the make-believe GitHub serves, as JSON Schema. Run after adding an endpoint: node scripts/extract-openapi.ts

import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const PACKAGE = '@octokit/openapi@23.0.2';
const DESCRIPTION = 'package/generated/api.github.com.json';
const EXTRACT = new URL('../test/sandbox/github/generated/openapi-extract.json', import.meta.url);

const ENDPOINTS = [
  'GET /',
  'GET /versions',
  'GET /rate_limit',
  'GET /user',
  'GET /repos/{owner}/{repo}',
  'GET /repos/{owner}/{repo}/git/matching-refs/{ref}',
  'GET /repos/{owner}/{repo}/contents/{path}',
  'GET /repos/{owner}/{repo}/actions/runners',
  'GET /repos/{owner}/{repo}/actions/runners/downloads',
  'GET /repos/{owner}/{repo}/actions/runners/{runner_id}',
  'DELETE /repos/{owner}/{repo}/actions/runners/{runner_id}',
  'POST /repos/{owner}/{repo}/actions/runners/{runner_id}/labels',
  'PUT /repos/{owner}/{repo}/actions/runners/{runner_id}/labels',
  'DELETE /repos/{owner}/{repo}/actions/runners/{runner_id}/labels',
  'POST /repos/{owner}/{repo}/actions/runners/registration-token',
  'POST /repos/{owner}/{repo}/actions/runners/remove-token',
  'GET /repos/{owner}/{repo}/actions/runs',
  'GET /repos/{owner}/{repo}/actions/runs/{run_id}',
  'GET /repos/{owner}/{repo}/actions/runs/{run_id}/jobs',
  'GET /repos/{owner}/{repo}/actions/runs/{run_id}/concurrency_groups',
  'GET /repos/{owner}/{repo}/actions/concurrency_groups',
  'GET /repos/{owner}/{repo}/actions/jobs/{job_id}',
  'GET /repos/{owner}/{repo}/actions/workflows/{workflow_id}/runs',
  'POST /repos/{owner}/{repo}/actions/runs/{run_id}/cancel',
  'POST /repos/{owner}/{repo}/actions/runs/{run_id}/force-cancel',
  'POST /repos/{owner}/{repo}/actions/runs/{run_id}/rerun',
  'POST /repos/{owner}/{repo}/actions/runs/{run_id}/rerun-failed-jobs',
  'GET /repos/{owner}/{repo}/actions/jobs/{job_id}/logs',
  'POST /repos/{owner}/{repo}/actions/jobs/{job_id}/rerun',
  'GET /repos/{owner}/{repo}/check-runs/{check_run_id}/annotations',
  'GET /repos/{owner}/{repo}/commits/{ref}/check-runs',
  'GET /orgs/{org}/actions/runners',
  'GET /orgs/{org}/actions/runners/downloads',
  'GET /orgs/{org}/actions/runners/{runner_id}',
  'GET /orgs/{org}/actions/runner-groups',
  'DELETE /orgs/{org}/actions/runners/{runner_id}',
  'POST /orgs/{org}/actions/runners/{runner_id}/labels',
  'PUT /orgs/{org}/actions/runners/{runner_id}/labels',
  'DELETE /orgs/{org}/actions/runners/{runner_id}/labels',
  'POST /orgs/{org}/actions/runners/registration-token',
  'POST /orgs/{org}/actions/runners/remove-token',
  'POST /app/installations/{installation_id}/access_tokens',
] as const;

/** Formats that ajv-formats knows; GitHub's others are notes for people. */
const FORMATS: readonly unknown[] = ['date', 'date-time', 'uri', 'uri-template', 'int64'];
/** What GitHub answers with an error to any endpoint, described or not. */
const ERROR = 'basic-error';
const FOR_PEOPLE = /^(description|title|example|examples|externalDocs|deprecated|default|readOnly|x-.*)$/;

interface Description {
  readonly paths: Record<string, Record<string, { readonly responses: Record<string, Response> } | undefined> | undefined>;
  readonly components: { readonly schemas: Record<string, Schema>; readonly responses: Record<string, Response> };
}

interface Response {
  readonly $ref?: string;
  readonly content?: { readonly 'application/json'?: { readonly schema: Schema } };
}

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly nullable?: boolean;
  readonly discriminator?: object;
  readonly enum?: readonly unknown[];
  readonly properties?: Record<string, Schema>;
  readonly items?: Schema;
  readonly additionalProperties?: boolean | Schema;
  readonly allOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
}

const run = promisify(execFile);
const description = await readDescription();
const definitions: Record<string, object> = {};
const answers = Object.fromEntries(ENDPOINTS.map((endpoint) => [endpoint, answersOf(endpoint)]));
define(ERROR);
await writeFile(EXTRACT, `${JSON.stringify({ source: `${PACKAGE} ${DESCRIPTION}`, answers, definitions }, null, 1)}\n`);

async function readDescription(): Promise<Description> {
  const folder = await mkdtemp(join(tmpdir(), 'openapi-'));
  try {
    const { stdout: tarball } = await run('npm', ['pack', '--silent', PACKAGE], { cwd: folder });
    const { stdout } = await run('tar', ['-xzOf', tarball.trim(), DESCRIPTION], { cwd: folder, maxBuffer: 64 * 1024 * 1024 });
    return JSON.parse(stdout) as Description;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Status to schema; `null` for an answer without content. */
function answersOf(endpoint: string): Record<string, object | null> {
  const [method = '', path = ''] = endpoint.split(' ');
  const responses = description.paths[path]?.[method.toLowerCase()]?.responses;
  if (!responses) throw new Error(`GitHub describes no ${endpoint}`);
  return mapValues(responses, (response) => {
    const described = response.$ref === undefined ? response : description.components.responses[nameOf(response.$ref)];
    const schema = described?.content?.['application/json']?.schema;
    return schema === undefined ? null : toJsonSchema(schema);
  });
}

function define(name: string): void {
  if (name in definitions) return;
  const schema = description.components.schemas[name];
  if (!schema) throw new Error(`GitHub describes no ${name}`);
  definitions[name] = {}; // A schema may refer to itself.
  definitions[name] = toJsonSchema(schema);
}

/** OpenAPI 3.0's dialect to JSON Schema: without `nullable` and `discriminator`, and without what is there for people alone. */
function toJsonSchema(schema: Schema): object {
  if (schema.$ref !== undefined) {
    const name = nameOf(schema.$ref);
    define(name);
    return { $ref: `#/definitions/${name}` };
  }
  const { nullable = false, discriminator: _, properties, items, additionalProperties, allOf, anyOf, oneOf, ...plain } = schema;
  const kept = Object.entries(plain).filter(([key, value]) => !FOR_PEOPLE.test(key) && (key !== 'format' || FORMATS.includes(value)));
  const converted = {
    ...Object.fromEntries(kept),
    ...(properties && { properties: mapValues(properties, toJsonSchema) }),
    ...(items && { items: toJsonSchema(items) }),
    ...(additionalProperties !== undefined && {
      additionalProperties: typeof additionalProperties === 'object' ? toJsonSchema(additionalProperties) : additionalProperties,
    }),
    ...(allOf && { allOf: allOf.map(toJsonSchema) }),
    ...(anyOf && { anyOf: anyOf.map(toJsonSchema) }),
    ...(oneOf && { oneOf: oneOf.map(toJsonSchema) }),
  };
  if (!nullable) return converted;
  if (schema.type === undefined) return { anyOf: [converted, { type: 'null' }] };
  return { ...converted, type: [schema.type, 'null'], ...(schema.enum && { enum: [...schema.enum, null] }) };
}

function nameOf(reference: string): string {
  return reference.slice(reference.lastIndexOf('/') + 1);
}

function mapValues<T, U>(object: Record<string, T>, change: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));
}
