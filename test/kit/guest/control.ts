// Talking to an instance's process over its control socket.

import { connect } from 'node:net';
import path from 'node:path';
import type { Command, Ending } from './exec-agent.ts';
import { type Message, readMessages, writeMessage } from './messages.ts';

/** The file in a folder of instances that is there while the one thread of their daemon is in use. */
export function daemonThreadIn(instances: string): string {
  return path.join(instances, 'daemon-thread');
}

/** Asks the instance in `folder` for one thing; rejects with the instance's own words. */
export function ask<Answer = void>(folder: string, request: string, parameters: Message = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = connect(path.join(folder, 'control.sock'));
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`${request}: the instance's process has ended`)));
    readMessages(socket, (message) => {
      if ('answer' in message) resolve(message['answer'] as Answer);
      else reject(new Error(`${request}: ${String(message['error'])}`));
    });
    writeMessage(socket, { request, ...parameters });
  });
}

export interface RemoteCommand {
  input(bytes: Buffer): void;
  endInput(): void;
  readonly ended: Promise<Ending>;
}

/** Runs a command in a guest that is up; a client that dies leaves the command running. */
export function runCommand(
  folder: string,
  command: Command,
  output: { out(bytes: Buffer): void; err(bytes: Buffer): void },
): RemoteCommand {
  const socket = connect(path.join(folder, 'control.sock'));
  const ended = new Promise<Ending>((resolve) => {
    socket.on('error', () => resolve({ kind: 'lost' }));
    socket.on('close', () => resolve({ kind: 'lost' }));
    readMessages(socket, (message) => {
      if (typeof message['out'] === 'string') output.out(Buffer.from(message['out'], 'base64'));
      if (typeof message['err'] === 'string') output.err(Buffer.from(message['err'], 'base64'));
      if ('ending' in message) resolve(message['ending'] as Ending);
    });
  });
  writeMessage(socket, { request: 'exec', command });
  return {
    input: (bytes) => void writeMessage(socket, { in: bytes.toString('base64') }),
    endInput: () => void writeMessage(socket, { end: true }),
    ended,
  };
}
