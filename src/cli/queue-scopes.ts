import type { Client } from '@temporalio/client';
import type { Config } from '../config/config.ts';
import type { ConfigFlags } from '../config/load.ts';
import { isRepository } from '../github/endpoints.ts';
import { CommandFailure, EXIT } from './exit.ts';
import { say, type Invocation } from './invocation.ts';
import { chosenScopes } from './runners.ts';
import { settleScopes, withTerminal } from './terminal.ts';

/** Runs `use` with the repositories whose queues a verb is about. `isConfirmed`: a worker says that it looks after them. */
export function withRepositories<T>(
  { scope, config, follows = false }: { readonly scope: string | undefined; readonly config: ConfigFlags; readonly follows?: boolean },
  invocation: Invocation,
  use: (client: Client, settled: { readonly scopes: readonly string[]; readonly isConfirmed: boolean }) => Promise<T>,
): Promise<T> {
  const refuse = (configured: Config): unknown => repositoriesAmong(chosenScopes(configured, scope));
  return withTerminal(invocation, { config, refuse, follows }, async (session, terminal) => {
    const meant = terminal && { ...terminal, runners: terminal.runners.filter((runner) => isRepository(runner.scope)) };
    const { scopes, lookedAfter } = await settleScopes(session, meant, scope, { doing: 'The queue of', invocation });
    const settled = { scopes: terminal === null ? repositoriesAmong(scopes) : scopes, isConfirmed: lookedAfter !== null };
    return use(session.client, settled);
  });
}

/** Only repositories have a queue: organizations are skipped, with a word. Exit code 2 if none is left. */
function repositoriesAmong(scopes: readonly string[]): readonly string[] {
  const repositories = scopes.filter(isRepository);
  const others = scopes.filter((scope) => !isRepository(scope));
  const words = `${others.join(' and ')} ${others.length === 1 ? 'is an organisation' : 'are organisations'}, and only a repository has a queue of runs`;
  if (repositories.length === 0) {
    throw new CommandFailure(EXIT.usage, `${words}: configure one (\`repo: owner/name\` below \`scopes\`).`);
  }
  if (others.length > 0) {
    say(`${words}: left out.`);
  }
  return repositories;
}
