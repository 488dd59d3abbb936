// Answers in GitHub's form: errors, lists in pages, redirects.

/** One HTTP answer; `body` is sent as JSON, `html` and `text` as they are. */
export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly html?: string;
  readonly text?: string;
  /** What spoils it. */
  readonly fault?: Fault['kind'];
  /** What refuses it. */
  readonly limit?: Limit;
}

/** What can go wrong besides a status. */
export type Fault =
  /** A page for people where JSON is expected: of a proxy with 200, GitHub's unicorn with 5xx. */
  | { readonly kind: 'page'; readonly status: 200 | 502 | 503 | 504 }
  /** What was asked for is done, and its answer is cut in the middle, or lost with the connection. */
  | { readonly kind: 'cut' | 'lost' }
  /** The requests of the hour are used up: all of the token's are refused until the reset. */
  | { readonly kind: 'primary-limit'; readonly resetMs: number; readonly status?: 403 | 429 }
  /** All of the token's requests are refused for a while, with `retry-after` or without. */
  | { readonly kind: 'secondary-limit'; readonly lastsMs: number; readonly namesEnd: boolean; readonly status?: 403 | 429 }
  /** The `Date` header alone is off. */
  | { readonly kind: 'date'; readonly offByMs: number };

/** A rate limit that is reached. */
export interface Limit {
  readonly kind: 'primary' | 'secondary';
  readonly status: 403 | 429;
  /** Epoch milliseconds by GitHub's clock. */
  readonly until: number;
  /** Whether a secondary limit names its end. */
  readonly namesEnd: boolean;
  /** When a refusal by it was first sent, by the monotonic clock in milliseconds. */
  toldAt: number | null;
}

const DOCUMENTATION = 'https://docs.github.com/rest';

/** GitHub's error body; its `status` is a string. */
export function refuse(status: number, message: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return {
    status,
    headers,
    body: { message, documentation_url: DOCUMENTATION, status: String(status) },
  };
}

/** The body of a 422 without a list of errors. */
export function refuseAsInvalid(message: string): Answer {
  return { status: 422, body: { message, documentation_url: DOCUMENTATION } };
}

export function notFound(): Answer {
  return refuse(404, 'Not Found');
}

const WORDS: Readonly<Record<number, string>> = {
  401: 'Bad credentials',
  403: 'Resource not accessible by personal access token',
  404: 'Not Found',
  429: 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.',
  500: 'Server Error',
  503: 'Service Unavailable',
};

/** A refusal as GitHub words it for this status; bad gateways answer a page for people instead of JSON. */
export function refuseByStatus(status: number): Answer {
  return status === 502 || status === 504 ? pageForPeople(status) : refuse(status, WORDS[status] ?? 'Error');
}

/** What GitHub, or a proxy before it, shows a browser. */
export function pageForPeople(status: number): Answer {
  return { status, html: '<!DOCTYPE html><html><body><h1>Unicorn!</h1><p>No server is currently available.</p></body></html>' };
}

const ABOUT_LIMITS = 'https://docs.github.com/free-pro-team@latest/rest/overview/rate-limits-for-the-rest-api';
const REQUEST_ID = 'If you reach out to GitHub Support for help, please include the request ID 0123:4567:89AB.';

/** The wordings are captured ones. A secondary limit leaves `x-ratelimit-remaining` as it is. */
export function refuseByLimit(limit: Limit, now: number): Answer {
  const { kind, status, until, namesEnd } = limit;
  const body = (message: string, url: string): object => ({ message, documentation_url: url, status: String(status) });
  if (kind === 'primary') {
    const reset = String(Math.ceil(until / 1000));
    return {
      status,
      limit,
      headers: { 'X-RateLimit-Remaining': '0', 'X-RateLimit-Reset': reset },
      body: body(`API rate limit exceeded for user ID 1. ${REQUEST_ID}`, ABOUT_LIMITS),
    };
  }
  const wait = 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.';
  return {
    status,
    limit,
    headers: namesEnd ? { 'Retry-After': String(Math.ceil((until - now) / 1000)) } : {},
    body: body(`${wait} ${REQUEST_ID}`, `${ABOUT_LIMITS}#about-secondary-rate-limits`),
  };
}

/** The part of a list that `page` and `per_page` ask for, and the `Link` header to the others; none where all fits on one page. */
export function paginate<T>(
  items: readonly T[],
  query: URLSearchParams,
  url: URL,
): { readonly page: T[]; readonly headers: Record<string, string> } {
  const perPage = Math.min(positive(query.get('per_page'), 30), 100);
  const page = positive(query.get('page'), 1);
  const last = Math.max(1, Math.ceil(items.length / perPage));
  const links: string[] = [];
  const link = (rel: string, number: number): void => {
    const target = new URL(url);
    target.searchParams.set('page', String(number));
    links.push(`<${target.href}>; rel="${rel}"`);
  };
  if (page > 1) link('prev', Math.min(page - 1, last));
  if (page < last) {
    link('next', page + 1);
    link('last', last);
  }
  if (page > 1) link('first', 1);
  return {
    page: items.slice((page - 1) * perPage, page * perPage),
    headers: links.length > 0 ? { Link: links.join(', ') } : {},
  };
}

function positive(text: string | null, otherwise: number): number {
  const number = Number(text);
  return Number.isInteger(number) && number > 0 ? number : otherwise;
}
