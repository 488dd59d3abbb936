import { accessSync, constants, statSync } from 'node:fs';
import { opennessOf } from '../domain/private-file.ts';
import { Secret } from '../domain/secret.ts';
import type { Credentials } from './config.ts';
import { read, variableMistake } from './environment.ts';
import type { Environment } from './environment.ts';
import type { Mistake } from './mistake.ts';

const APP_VARIABLES = ['GITHUB_APP_ID', 'GITHUB_APP_INSTALLATION_ID', 'GITHUB_APP_PRIVATE_KEY_FILE'] as const;

export interface CredentialsReading {
  readonly credentials: Credentials;
  readonly mistakes: readonly Mistake[];
  readonly warnings: readonly string[];
}

/**
 * Which credentials the environment names: a token, a file with a token, a GitHub App, else `gh`.
 * @param hostname GitHub's host name, which `gh` keeps its tokens by
 * @param resolve makes a path of the environment absolute
 */
export function readCredentials(env: Environment, hostname: string, resolve: (path: string) => string): CredentialsReading {
  const app = APP_VARIABLES.filter((variable) => read(env, variable) !== undefined);
  const unused = (used: string): string[] => (app.length === 0 ? [] : [`${app.join(', ')}: not used, since ${used} is set.`]);

  for (const variable of ['GH_TOKEN', 'GITHUB_TOKEN'] as const) {
    const token = read(env, variable);
    if (token !== undefined) {
      return {
        credentials: { kind: 'token', variable, token: new Secret(token) },
        mistakes: /^[\x21-\x7e]+$/.test(token) ? [] : [tokenMistake(variable)],
        warnings: unused(variable),
      };
    }
  }

  const tokenFile = read(env, 'GH_TOKEN_FILE');
  if (tokenFile !== undefined) {
    const path = resolve(tokenFile);
    return {
      credentials: { kind: 'token-file', path },
      mistakes: checkSecretFile('GH_TOKEN_FILE', path),
      warnings: unused('GH_TOKEN_FILE'),
    };
  }

  return app.length > 0 ? readApp(env, resolve) : { credentials: { kind: 'gh', hostname }, mistakes: [], warnings: [] };
}

function readApp(env: Environment, resolve: (path: string) => string): CredentialsReading {
  const mistakes: Mistake[] = [];
  const [appId, installationId, keyFile] = APP_VARIABLES.map((variable) => read(env, variable));
  for (const variable of APP_VARIABLES) {
    if (read(env, variable) === undefined) {
      mistakes.push(variableMistake(variable, undefined, `a value: a GitHub App needs ${APP_VARIABLES.join(', ')}`));
    }
  }
  // https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app: the client id serves as well
  if (appId !== undefined && !/^([1-9]\d*|Iv[A-Za-z0-9.]+)$/.test(appId)) {
    mistakes.push(variableMistake('GITHUB_APP_ID', appId, "the App's id or client id, such as 123456"));
  }
  if (installationId !== undefined && !/^[1-9]\d{0,14}$/.test(installationId)) {
    mistakes.push(variableMistake('GITHUB_APP_INSTALLATION_ID', installationId, "the installation's id, such as 7654321"));
  }
  const privateKeyFile = resolve(keyFile ?? '');
  if (keyFile !== undefined) {
    mistakes.push(...checkSecretFile('GITHUB_APP_PRIVATE_KEY_FILE', privateKeyFile));
  }
  return {
    credentials: {
      kind: 'app',
      appId: appId ?? '',
      installationId: Number(installationId),
      privateKeyFile,
    },
    mistakes,
    warnings: [],
  };
}

function tokenMistake(variable: string): Mistake {
  return {
    place: { kind: 'variable', variable },
    key: '',
    found: 'a value with blanks, line breaks or other characters that no token has (not shown)',
    allowed: 'a token of GitHub',
  };
}

function checkSecretFile(variable: string, path: string): Mistake[] {
  try {
    accessSync(path, constants.R_OK);
    const openness = opennessOf(path, statSync(path).mode);
    return openness === null ? [] : [variableMistake(variable, path, openness)];
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    return [variableMistake(variable, `${path} (${code})`, 'the path of a readable file')];
  }
}
