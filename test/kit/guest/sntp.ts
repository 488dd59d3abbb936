// A time server of the least kind, for systemd-timesyncd: answers with the host's time plus an offset.

import { type Socket, createSocket } from 'node:dgram';

const SECONDS_1900_TO_1970 = 2_208_988_800;

export interface TimeServer {
  /** Seconds that its answers lie ahead of the host's clock. */
  offsetSeconds: number;
  start(): Promise<void>;
  /** From now on its port is closed. */
  stop(): Promise<void>;
}

/** Answers on 127.0.0.1, UDP 123. */
export function timeServer(): TimeServer {
  let socket: Socket | null = null;
  const server: TimeServer = {
    offsetSeconds: 0,
    start: () =>
      new Promise((resolve, reject) => {
        if (socket !== null) return resolve();
        socket = createSocket('udp4');
        socket.once('error', reject);
        socket.on('message', (question, from) => socket?.send(answer(question, server.offsetSeconds), from.port, from.address));
        socket.bind(123, '127.0.0.1', resolve);
      }),
    stop: () =>
      new Promise((resolve) => {
        if (socket === null) return resolve();
        socket.close(resolve);
        socket = null;
      }),
  };
  return server;
}

/** RFC 4330: version 4, mode 4 (server), stratum 3, own timestamps around the echoed one of the client. */
function answer(question: Buffer, offsetSeconds: number): Buffer {
  const packet = Buffer.alloc(48);
  const now = Date.now() + offsetSeconds * 1000;
  packet[0] = 0x24;
  packet[1] = 3;
  packet[2] = question[2] ?? 0;
  packet[3] = 0xec;
  packet.write('LOCL', 12);
  writeTimestamp(packet, 16, now - 1000);
  question.copy(packet, 24, 40, 48);
  writeTimestamp(packet, 32, now);
  writeTimestamp(packet, 40, now);
  return packet;
}

function writeTimestamp(packet: Buffer, at: number, epochMs: number): void {
  packet.writeUInt32BE((Math.floor(epochMs / 1000) + SECONDS_1900_TO_1970) % 2 ** 32, at);
  packet.writeUInt32BE(Math.floor(((epochMs % 1000) / 1000) * 2 ** 32), at + 4);
}
