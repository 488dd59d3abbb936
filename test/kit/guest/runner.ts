// Puts the stand-ins of the runner's programs (runner/) into a guest.

import { execFileSync } from 'node:child_process';
import path from 'node:path';
import type { ExecOptions, GitHub } from './index.ts';
import { runnerPackage, type RunnerPackage } from './package.ts';
import { HOST_ADDRESS } from './qemu.ts';

/** Seconds that the runner's stand-ins wait, by the names of `runner/settings.sh`. */
export type RunnerTimes = Readonly<Record<string, number | 'yes' | 'no'>>;

export interface RunnerOptions {
  /** Repository `owner/name`, or organisation. */
  readonly scope: string;
  /** A registration token; without it one is asked of GitHub. */
  readonly token?: string;
  /** The runner's name; `runner-1` without it. */
  readonly name?: string;
  readonly labels?: readonly string[];
  /** `/opt/actions-runner` without it. */
  readonly directory?: string;
  /** `github-runner` without it. */
  readonly user?: string;
  readonly times?: RunnerTimes;
}

export interface InstalledRunner {
  readonly name: string;
  readonly directory: string;
  readonly unit: string;
  readonly agentId: number;
}

type Must = (script: string, options?: ExecOptions) => Promise<string>;

const DIRECTORY = '/opt/actions-runner';
const USER = 'github-runner';
const TIMES: RunnerTimes = { SESSION_RETRY: 1, SESSION_CONFLICT: 10, CLOCK_RETRY: 60, RELAUNCH: 2, STOP_GRACE: 10 };

export async function unpackRunner(must: Must, options: Pick<RunnerOptions, 'directory' | 'user' | 'times'> = {}): Promise<void> {
  const { directory = DIRECTORY, user = USER, times = {} } = options;
  const settings = Object.entries({ ...TIMES, ...times }).map(([name, value]) => `${name}=${value}`);
  const script = `set -e
    package=$(mktemp -d)
    tar -x -C "$package"
    bash "$package/install.sh" ${quote(directory)} ${quote(user)}
    rm -r "$package"
    printf '%s\\n' ${settings.map(quote).join(' ')} >/etc/runner-stand-in.env`;
  await must(script, { input: execFileSync('tar', ['-c', '-C', path.join(import.meta.dirname, 'runner'), '.']) });
  await keepPackage(must);
}

/** As Runward leaves it: whole, and checked. Other versions go. */
export async function keepPackage(must: Must, kept: RunnerPackage = (standIns ??= runnerPackage())): Promise<void> {
  const script = `set -e
    umask 077
    folder=/var/lib/runward/packages
    rm -rf "$folder"
    mkdir -p "$folder/${kept.version}"
    cat >"$folder/${kept.version}/package.tar.gz"
    printf '%s\\n' ${kept.sha256} >"$folder/${kept.version}/sha256"`;
  await must(script, { input: kept.archive });
}

/** Of one process, in which it is always the same. */
let standIns: RunnerPackage | undefined;

export async function installRunner(must: Must, github: GitHub | undefined, options: RunnerOptions): Promise<InstalledRunner> {
  if (github === undefined) throw new Error('a runner needs a GitHub: give one to startGuest');
  const token = options.token ?? (await registrationToken(github, options.scope));
  const url = `http://${HOST_ADDRESS}:${github.port}/${options.scope}`;
  const { name = 'runner-1', labels = [], directory = DIRECTORY, user = USER } = options;
  await unpackRunner(must, options);
  const config = ['./config.sh', '--unattended', '--url', url, '--name', name, '--work', '_work'];
  if (labels.length > 0) config.push('--labels', labels.join(','));
  const script = `set -e
    cd ${quote(directory)}
    read -r ACTIONS_RUNNER_INPUT_TOKEN
    export ACTIONS_RUNNER_INPUT_TOKEN
    runuser -u ${quote(user)} -- ${config.map(quote).join(' ')} >&2
    unset ACTIONS_RUNNER_INPUT_TOKEN
    ./svc.sh install ${quote(user)} >&2
    unit=$(cat .service)
    systemctl start "$unit"
    for try in $(seq 100); do
      if journalctl -q -o cat -u "$unit" | grep -q 'Listening for Jobs'; then break; fi
      if [ "$try" = 100 ]; then journalctl -u "$unit" >&2; exit 1; fi
      sleep 0.2
    done
    # A power cut later on finds the files as they are now.
    sync
    sed -n 's/.*"agentId": \\([0-9]*\\).*/\\1/p' .runner
    echo "$unit"`;
  const [agentId, unit = ''] = (await must(script, { input: `${token}\n` })).split('\n');
  return { name, directory, unit, agentId: Number(agentId) };
}

async function registrationToken({ port, token = '' }: GitHub, scope: string): Promise<string> {
  const owner = scope.includes('/') ? `repos/${scope}` : `orgs/${scope}`;
  const answer = await fetch(`http://127.0.0.1:${port}/${owner}/actions/runners/registration-token`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
  });
  if (answer.status !== 201) throw new Error(`no registration token for ${scope}: status ${answer.status}`);
  return ((await answer.json()) as { token: string }).token;
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
