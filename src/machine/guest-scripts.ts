// What runs in the guest, read once from guest/*.sh, and the form in which it travels: one standard input for the driver and all that it receives.

import { readFileSync } from 'node:fs';

const read = (name: string): Buffer => readFileSync(new URL(`guest/${name}.sh`, import.meta.url));

const LIBRARY = read('lib');
const DISK_LIBRARY = Buffer.concat([LIBRARY, read('disk')]);
const ROOM_LIBRARY = Buffer.concat([DISK_LIBRARY, read('room')]);
const CLOCK_LIBRARY = Buffer.concat([LIBRARY, read('clock')]);
const PACKAGE_LIBRARY = Buffer.concat([LIBRARY, read('package')]);
const RECORD = read('record');

/** bash reads a compound command to its end before it runs any of it, so that a driver that was cut off runs nothing. */
const DRIVER = Buffer.concat([Buffer.from('{\n'), read('driver'), Buffer.from('exit\n}\n')]);

/** Steps, each a script of its own name; all read at once, so that an upgrade under a running worker mixes no two versions. */
const STEPS = {
  observe: read('observe'),
  'sync-clock': read('sync-clock'),
  'set-aside': read('set-aside'),
  configure: read('configure'),
  'start-service': read('start-service'),
  'restart-service': read('restart-service'),
  restore: read('restore'),
  discard: read('discard'),
  'mark-drained': read('mark-drained'),
  pause: read('pause'),
  'let-go': read('let-go'),
  'stop-service': read('stop-service'),
  'wait-for-end': read('wait-for-end'),
  'unmark-drained': read('unmark-drained'),
  'list-cache': read('list-cache'),
  'remove-from-cache': read('remove-from-cache'),
  'make-room': read('make-room'),
  'list-workspaces': read('list-workspaces'),
  'fetch-package': read('fetch-package'),
  'store-piece': read('store-piece'),
};

export type Step = keyof typeof STEPS;

/** What steps need besides the prelude of all; the pause before one needs the same. */
const LIBRARIES: Readonly<Record<string, Buffer>> = {
  'list-cache': DISK_LIBRARY,
  'list-workspaces': DISK_LIBRARY,
  'remove-from-cache': DISK_LIBRARY,
  'make-room': ROOM_LIBRARY,
  'sync-clock': CLOCK_LIBRARY,
  'fetch-package': PACKAGE_LIBRARY,
  'store-piece': PACKAGE_LIBRARY,
};

/** Runs the driver of standard input in the guest. */
export interface DriverCall {
  readonly argv: readonly string[];
  readonly input: Buffer;
}

export type Parameters = Readonly<Record<string, string>>;

/** @param seconds after which it is ended */
export function look(step: Step, seconds: number, parameters: Parameters): DriverCall {
  return call(['look', String(seconds)], [libraryOf(step, parameters), STEPS[step], packed(parameters)]);
}

export function act(
  step: Step,
  act: { readonly key: string; readonly fence: number; readonly seconds: number; readonly attempt: string },
  parameters: Parameters,
  secret: string,
): DriverCall {
  const words = ['act', act.key, String(act.fence), String(act.seconds), act.attempt];
  return call(words, [libraryOf(step, parameters), STEPS[step], RECORD, packed(parameters), Buffer.from(secret)]);
}

/** @param recovers the runner's directory, if it is for a recovery; else empty */
export function takeFence(holder: string, recovers: string): DriverCall {
  return call(['fence-take'], [Buffer.from(holder), Buffer.from(recovers)]);
}

export function cancel(key: string, attempt: string): DriverCall {
  return call(['cancel', key, attempt], []);
}

function libraryOf(step: Step, { purpose = '' }: Parameters): Buffer {
  return LIBRARIES[step === 'pause' ? purpose : step] ?? LIBRARY;
}

function call(words: readonly string[], files: readonly Buffer[]): DriverCall {
  return {
    argv: ['sudo', '-n', '/bin/bash', '-s', '--', ...words, ...files.map((file) => String(file.length))],
    input: Buffer.concat([DRIVER, ...files]),
  };
}

function packed(parameters: Parameters): Buffer {
  return Buffer.from(
    Object.entries(parameters)
      .map(([name, value]) => `${name}=${escaped(value)}\n`)
      .join(''),
  );
}

/** For bash's `printf %b`: anything but plain letters becomes `\xHH`. */
function escaped(value: string): string {
  return Array.from(Buffer.from(value), (byte) => {
    const letter = String.fromCharCode(byte);
    return /[A-Za-z0-9.,:/_-]/.test(letter) ? letter : `\\x${byte.toString(16).padStart(2, '0')}`;
  }).join('');
}
