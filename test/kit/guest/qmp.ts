// QEMU's machine protocol over its unix socket.

import { type Socket, connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Message, readMessages, writeMessage } from './messages.ts';

const POLL_MS = 20;

export interface Qmp {
  execute(command: string, parameters?: Message): Promise<Message>;
  /** Resolves once the `status` that `query` answers is wanted; rejects on `failed` and after `limitMs`. */
  awaitStatus(query: 'query-status' | 'query-migrate', isWanted: (status: string) => boolean, limitMs: number): Promise<void>;
}

/** Connects as soon as the socket is there. */
export async function connectQmp(socketPath: string, limitMs: number, onEvent: (event: string) => void): Promise<Qmp> {
  const socket = await connectWithin(socketPath, limitMs);
  const waiting: { resolve: (value: Message) => void; reject: (error: Error) => void }[] = [];
  readMessages(socket, (message) => {
    if (typeof message['event'] === 'string') onEvent(message['event']);
    else if ('return' in message) waiting.shift()?.resolve(message['return'] as Message);
    else if ('error' in message) waiting.shift()?.reject(new Error(`qemu: ${JSON.stringify(message['error'])}`));
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    for (const { reject } of waiting.splice(0)) reject(new Error('qemu has ended'));
  });

  const execute = (command: string, parameters?: Message) =>
    new Promise<Message>((resolve, reject) => {
      if (socket.destroyed) return reject(new Error('qemu has ended'));
      waiting.push({ resolve, reject });
      writeMessage(socket, parameters === undefined ? { execute: command } : { execute: command, arguments: parameters });
    });
  const awaitStatus: Qmp['awaitStatus'] = async (query, isWanted, limitMs) => {
    const deadline = Date.now() + limitMs;
    for (;;) {
      const status = String((await execute(query))['status']);
      if (isWanted(status)) return;
      if (status === 'failed' || Date.now() > deadline) throw new Error(`qemu: ${query} says ${status}`);
      await sleep(POLL_MS);
    }
  };

  await execute('qmp_capabilities');
  return { execute, awaitStatus };
}

/** Connects to a unix socket that another process is about to open. */
export async function connectWithin(socketPath: string, limitMs: number): Promise<Socket> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    try {
      return await connectOnce(socketPath);
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(POLL_MS);
    }
  }
}

function connectOnce(socketPath: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}
