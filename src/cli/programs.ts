import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Whether a command can be run: a path, or a name on `PATH`. */
export function isProgram(command: string, env: Readonly<Record<string, string | undefined>>): boolean {
  const places = command.includes('/') ? [command] : (env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, command));
  return places.some(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
