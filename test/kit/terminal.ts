// Runward on a terminal, as a person sees it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Ended } from './product.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

/** On a terminal, which Python makes: what is typed comes once the question is there. */
export async function onTerminal(
  args: readonly string[],
  typed: string,
  variables: Readonly<Record<string, string>>,
): Promise<Pick<Ended, 'exitCode' | 'stdout'>> {
  const script = `import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
said = b""
while True:
    try:
        part = os.read(terminal, 4096)
    except OSError:
        break
    if not part:
        break
    said += part
    if b"[y/N]" in part:
        os.write(terminal, ${JSON.stringify(typed)}.encode())
sys.stdout.buffer.write(said)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))`;
  const { PATH = '' } = process.env;
  const child = spawn('python3', ['-c', script, process.execPath, MAIN, ...args], {
    env: { PATH, HOME: tmpdir(), NO_COLOR: '1', COLUMNS: '200', ...variables },
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: tmpdir(),
  });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  const [exitCode] = (await once(child, 'close')) as [number | null];
  return { exitCode, stdout };
}
