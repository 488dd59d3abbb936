// The host's side of the guest's exec agent (image/exec-agent.cjs).

import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { readMessages, writeMessage } from './messages.ts';
import { connectWithin } from './qmp.ts';

const HELLO_EVERY_MS = 300;
const CHUNK_BYTES = 48 * 1024;

export interface Command {
  readonly argv: readonly string[];
  readonly user: 'root' | 'ubuntu' | 'github-runner';
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

export type Ending =
  | { readonly kind: 'exited'; readonly code: number | null; readonly signal: string | null }
  | { readonly kind: 'not-started'; readonly message: string }
  /** The guest stopped, was reset, or was cut off. */
  | { readonly kind: 'lost' };

export interface Listener {
  out(base64: string): void;
  err(base64: string): void;
  ended(ending: Ending): void;
}

export interface Session {
  input(bytes: Buffer): void;
  endInput(): void;
  /** The client is gone: the guest's process lives on, with its pipes closed. */
  drop(): void;
}

export class ExecAgent {
  readonly #socket: Socket;
  readonly #sessions = new Map<number, Listener>();
  #lastId = 0;
  #greeting = '';
  #greeted = '';
  #pongs = new Set<() => void>();

  static async connect(socketPath: string, limitMs: number): Promise<ExecAgent> {
    return new ExecAgent(await connectWithin(socketPath, limitMs));
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    readMessages(socket, (message) => {
      if (typeof message['hello'] === 'string') this.#greeted = message['hello'];
      else if ('pong' in message) for (const pong of this.#pongs) pong();
      else this.#receive(message['id'] as number, message);
    });
    socket.on('error', () => {});
    socket.on('close', () => this.lose());
  }

  /** Greets until the guest answers: what was said before a boot or a resume is lost. Sessions of an earlier greeting are dropped. */
  async greet(limitMs: number): Promise<void> {
    this.#greeting = randomUUID();
    const deadline = Date.now() + limitMs;
    for (let next = 0; this.#greeted !== this.#greeting; await sleep(10)) {
      if (this.#socket.destroyed) throw new Error('qemu has ended');
      if (Date.now() > deadline) throw new Error(`the guest's exec agent did not answer within ${limitMs} ms`);
      if (Date.now() < next) continue;
      next = Date.now() + HELLO_EVERY_MS;
      writeMessage(this.#socket, { hello: this.#greeting });
    }
  }

  /** False where the guest does not answer within `limitMs`. */
  answers(limitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => settle(false), limitMs);
      const settle = (answer: boolean) => {
        clearTimeout(timer);
        this.#pongs.delete(pong);
        resolve(answer);
      };
      const pong = () => settle(true);
      this.#pongs.add(pong);
      writeMessage(this.#socket, { ping: true });
    });
  }

  run(command: Command, listener: Listener): Session {
    const id = (this.#lastId += 1);
    this.#sessions.set(id, listener);
    if (this.#socket.destroyed) queueMicrotask(() => this.#end(id, { kind: 'lost' }));
    else writeMessage(this.#socket, { id, run: command });
    return {
      input: (bytes) => {
        for (let at = 0; at < bytes.length; at += CHUNK_BYTES)
          writeMessage(this.#socket, { id, in: bytes.toString('base64', at, at + CHUNK_BYTES) });
      },
      endInput: () => void writeMessage(this.#socket, { id, end: true }),
      drop: () => {
        if (this.#sessions.delete(id)) writeMessage(this.#socket, { id, drop: true });
      },
    };
  }

  /** Ends every session as lost. */
  lose(): void {
    for (const id of this.#sessions.keys()) this.#end(id, { kind: 'lost' });
  }

  #receive(id: number, message: Readonly<Record<string, unknown>>): void {
    const listener = this.#sessions.get(id);
    if (typeof message['out'] === 'string') listener?.out(message['out']);
    if (typeof message['err'] === 'string') listener?.err(message['err']);
    if ('exit' in message) this.#end(id, { kind: 'exited', ...(message['exit'] as { code: number | null; signal: string | null }) });
    if ('failed' in message) this.#end(id, { kind: 'not-started', message: String(message['failed']) });
  }

  #end(id: number, ending: Ending): void {
    const listener = this.#sessions.get(id);
    this.#sessions.delete(id);
    listener?.ended(ending);
  }
}
