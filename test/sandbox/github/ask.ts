import type { SandboxGitHub } from '../../../src/sandbox/github/server.ts';

export interface Answered<Body> {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Parsed JSON; `undefined` where the answer is none. */
  readonly body: Body;
}

export interface AskOptions {
  /** `null` sends none. Default: the one that may do everything. */
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/**
 * Sends one request and follows no redirect.
 * @param request method and path, such as `GET /rate_limit`
 */
export async function ask<Body = unknown>(github: SandboxGitHub, request: string, options: AskOptions = {}): Promise<Answered<Body>> {
  const { token = github.token, headers = {}, body } = options;
  const [method = '', path = ''] = request.split(' ');
  const response = await fetch(github.url + path, {
    method,
    redirect: 'manual',
    headers: { 'user-agent': 'test', ...(token === null ? {} : { authorization: `Bearer ${token}` }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.startsWith('application/json') === true;
  return { status: response.status, headers: response.headers, text, body: (isJson ? JSON.parse(text) : undefined) as Body };
}

/** Of the links to other pages. */
export function relations(headers: Headers): string[] {
  return [...(headers.get('link') ?? '').matchAll(/rel="(\w+)"/g)].map(([, relation]) => relation ?? '');
}
