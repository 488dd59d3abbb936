// JSON lines over a stream: the form of all talk between the kit's own programs.

import type { Readable, Writable } from 'node:stream';

export type Message = Readonly<Record<string, unknown>>;

/** Calls `receive` for each line that holds a JSON object; the rest of a line that was cut in the middle is dropped. */
export function readMessages(stream: Readable, receive: (message: Message) => void): void {
  let pending = '';
  stream.setEncoding('latin1');
  stream.on('data', (text: string) => {
    const lines = (pending + text).split('\n');
    pending = lines.pop() ?? '';
    for (const line of lines) {
      const message = parse(line);
      if (message !== null) receive(message);
    }
  });
}

/** False where the stream asks to wait. */
export function writeMessage(stream: Writable, message: Message): boolean {
  return stream.write(`${toAscii(JSON.stringify(message))}\n`);
}

function parse(line: string): Message | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Message) : null;
  } catch {
    return null;
  }
}

/** Lines are read byte by byte as Latin-1, so all else is escaped. */
function toAscii(json: string): string {
  return json.replace(/[\u0080-\uffff]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
