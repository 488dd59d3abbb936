// Questions of GitHub's GraphQL API that stand for many of its REST API. Whoever asks has the REST way as well.

import type { z } from 'zod';
import { GraphqlAnswer } from './answers.ts';
import { GRAPHQL } from './client.ts';
import type { Call, Client } from './client.ts';
import { GitHubError } from './port.ts';
import type { Dated } from './port.ts';

export interface Question<T> extends Pick<Call<T>, 'scope' | 'needs' | 'signal'> {
  /** Whatever comes from elsewhere is a variable, and never a part of it. */
  readonly query: string;
  readonly variables: Readonly<Record<string, unknown>>;
  readonly data: z.ZodType<T>;
}

export interface Graphql {
  /** `null` if GitHub did not answer it in whole, or did not a while ago: its limits, a permission that is missing, a server without GraphQL. */
  ask<T>(question: Question<T>): Promise<Dated<T> | null>;
}

/** Each time it costs a request. */
const ASKED_AGAIN_AFTER_MS = 10 * 60_000;

/** @param now epoch milliseconds */
export function createGraphql(client: Client, now: () => number = Date.now): Graphql {
  const unansweredAt = new Map<string, number>();
  return {
    async ask({ scope, needs, signal, query, variables, data }) {
      const key = `${scope} ${needs}`;
      if (now() - (unansweredAt.get(key) ?? -Infinity) < ASKED_AGAIN_AFTER_MS) return null;
      try {
        const call = { route: GRAPHQL, parameters: { query, variables }, scope, needs, signal, isOptional: true };
        const { value, githubTime } = await client.request({ ...call, answer: GraphqlAnswer });
        const checked = data.safeParse(value.data);
        if (!value.hasErrors && checked.success) return { value: checked.data, githubTime };
      } catch (error) {
        if (!(error instanceof GitHubError)) throw error;
        // A gate is closed, which opens by itself.
        if (error.kind === 'limited') return null;
      }
      unansweredAt.set(key, now());
      return null;
    },
  };
}
