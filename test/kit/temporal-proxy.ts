// Stands between a client and Temporal's real server: refuses what an authorizer would, and goes away at a chosen call.

import { once } from 'node:events';
import {
  connect,
  constants,
  createServer,
  type ClientHttp2Session,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';

/** Where a client is cut off: before the server hears of the so-many-th call of a method, counted from 1, or once it has answered it. */
export interface Cut {
  /** Such as `DescribeWorkflowExecution`; without it every call counts. */
  readonly method?: string;
  readonly call: number;
  readonly when?: 'before' | 'answered';
  /** Only calls whose request has this text count. */
  readonly about?: string;
}

/** https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
export const REFUSALS = { permissionDenied: 7, unimplemented: 12 } as const;

export interface ProxySettings {
  /** Methods that are refused, with the code. */
  readonly refused?: Readonly<Record<string, number>>;
}

export class TemporalProxy implements AsyncDisposable {
  readonly #target: string;
  readonly #refused: Readonly<Record<string, number>>;
  readonly #sessions = new Set<ServerHttp2Session>();
  #server: Http2Server;
  #port = 0;
  #cut: Cut | null = null;
  #calls: string[] = [];
  #met = 0;
  #isCut = false;
  #opening: Promise<void> = Promise.resolve();
  #onCut = (): void => {};

  private constructor(target: string, { refused = {} }: ProxySettings) {
    this.#target = target;
    this.#refused = refused;
    this.#server = this.#open();
  }

  static async start(target: string, settings: ProxySettings = {}): Promise<TemporalProxy> {
    const proxy = new TemporalProxy(target, settings);
    await proxy.#listen();
    return proxy;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Methods in the order in which they were called since the last {@link cutAt}. */
  get calls(): readonly string[] {
    return this.#calls;
  }

  get isCut(): boolean {
    return this.#isCut;
  }

  /** Lets clients through again, up to `cut`. */
  async cutAt(cut: Cut | null, onCut = (): void => {}): Promise<void> {
    if (this.#isCut) {
      this.#isCut = false;
      this.#server = this.#open();
      this.#opening = this.#listen();
    }
    await this.#opening;
    this.#calls = [];
    this.#met = 0;
    this.#cut = cut;
    this.#onCut = onCut;
  }

  /** As when its process is killed: connections break, and new ones are refused. */
  cut(): void {
    this.#isCut = true;
    this.#server.close();
    for (const session of this.#sessions) {
      session.destroy();
    }
    this.#onCut();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
  }

  async #listen(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  #open(): Http2Server {
    const server = createServer();
    server.on('session', (session) => {
      const upstream = connect(`http://${this.#target}`);
      this.#sessions.add(session);
      session.on('close', () => {
        this.#sessions.delete(session);
        upstream.destroy();
      });
      for (const side of [session, upstream]) {
        side.on('error', () => session.destroy());
      }
      session.on('stream', (stream, headers) => {
        stream.on('error', () => {});
        void readAll(stream).then(
          (request) => this.#answer(stream, headers, request, upstream),
          () => {},
        );
      });
    });
    return server;
  }

  #answer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, request: Buffer, upstream: ClientHttp2Session): void {
    const method = String(headers[':path']).replace(/^.*\//, '');
    this.#calls.push(method);
    const isMet = this.#isMet(method, request);
    if (isMet && this.#cut?.when !== 'answered') {
      this.cut();
      return;
    }
    const code = this.#refused[method];
    if (code !== undefined) {
      refuse(stream, code);
      return;
    }
    if (stream.destroyed || upstream.destroyed) {
      return;
    }
    const { ':authority': _authority, ...rest } = headers;
    const call = upstream.request(rest);
    call.on('error', () => stream.destroy());
    stream.on('close', () => call.close(constants.NGHTTP2_CANCEL));
    call.end(request);
    if (isMet) {
      call.on('response', () => this.cut());
      return;
    }
    call.on('response', (answer, flags) => {
      if (stream.destroyed) {
        return;
      }
      if ((flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0) {
        stream.respond(answer, { endStream: true });
        return;
      }
      let trailers = {};
      call.on('trailers', (given) => (trailers = given));
      stream.respond(answer, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.destroyed || stream.sendTrailers(trailers));
      call.pipe(stream);
    });
  }

  #isMet(method: string, request: Buffer): boolean {
    if (this.#cut === null) {
      return false;
    }
    const { method: wanted = method, about = '', call } = this.#cut;
    this.#met += wanted === method && request.includes(about) ? 1 : 0;
    return wanted === method && this.#met === call;
  }
}

async function readAll(stream: ServerHttp2Stream): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) {
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts);
}

/** As the server's own answer without a message. */
function refuse(stream: ServerHttp2Stream, code: number): void {
  stream.respond(
    { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': String(code), 'grpc-message': 'Request unauthorized.' },
    { endStream: true },
  );
}
