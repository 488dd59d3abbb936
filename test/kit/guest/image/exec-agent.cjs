// Runs in the guest as root (Node 18): the place of sshd. Speaks JSON lines over a virtio-serial port.
//
// From the host:  {hello}  {ping}  {id, run: {argv, user, cwd, env}}  {id, in: base64}  {id, end: true}  {id, drop: true}
// To the host:    {hello}  {pong}  {id, out: base64}  {id, err: base64}  {id, exit: {code, signal}}  {id, failed: text}
//
// As with sshd: a session ends when its process has ended and its standard output and error are closed; a dropped
// session (its client is gone) closes the pipes and leaves the process alone. Standard input never touches a disk or the journal.

const { spawn } = require('node:child_process');
const fs = require('node:fs');

const CHUNK_BYTES = 48 * 1024;
const QUEUE_BYTES = 1024 * 1024;

const port = fs.openSync(process.argv[2], 'r+');
const sessions = new Map();
const queue = [];
let queuedBytes = 0;
let writing = false;
let greeting = null;

readPort();

function readPort() {
  const chunk = Buffer.alloc(CHUNK_BYTES * 2);
  let pending = '';
  const next = () =>
    fs.read(port, chunk, 0, chunk.length, null, (error, bytes) => {
      // Zero bytes: nobody is connected on the host.
      if (error || bytes === 0) return setTimeout(next, 50);
      const lines = (pending + chunk.toString('latin1', 0, bytes)).split('\n');
      pending = lines.pop();
      for (const line of lines) {
        const message = parse(line);
        if (message) receive(message);
      }
      next();
    });
  next();
}

/** The rest of a line that was cut by a resume or a reboot is dropped. */
function parse(line) {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

function receive(message) {
  if (message.hello) {
    if (message.hello !== greeting) for (const session of sessions.values()) drop(session);
    greeting = message.hello;
    return send({ hello: greeting });
  }
  if (message.ping) return send({ pong: true });
  if (message.run) return run(message.id, message.run);
  const session = sessions.get(message.id);
  if (!session) return;
  if (message.in) session.child.stdin.write(Buffer.from(message.in, 'base64'));
  if (message.end) session.child.stdin.end();
  if (message.drop) drop(session);
}

function run(id, { argv, user, cwd, env }) {
  const command = user === 'root' ? argv : ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--init-groups', ...argv];
  const child = spawn(command[0], command.slice(1), { cwd, env, detached: true });
  const session = { id, child };
  sessions.set(id, session);
  child.stdin.on('error', () => {});
  forward(session, child.stdout, 'out');
  forward(session, child.stderr, 'err');
  child.on('error', (error) => {
    if (sessions.delete(id)) send({ id, failed: error.message });
  });
  child.on('close', (code, signal) => {
    if (sessions.delete(id)) send({ id, exit: { code, signal } });
  });
}

function forward(session, stream, key) {
  stream.on('data', (data) => {
    for (let at = 0; at < data.length; at += CHUNK_BYTES) send({ id: session.id, [key]: data.toString('base64', at, at + CHUNK_BYTES) });
    if (queuedBytes > QUEUE_BYTES) {
      stream.pause();
      const resume = () => (queuedBytes > QUEUE_BYTES ? setTimeout(resume, 5) : stream.resume());
      resume();
    }
  });
}

function drop(session) {
  sessions.delete(session.id);
  for (const stream of session.child.stdio) stream.destroy();
}

function send(message) {
  const line = Buffer.from(`${JSON.stringify(message)}\n`);
  queue.push(line);
  queuedBytes += line.length;
  if (!writing) write();
}

function write() {
  const line = queue.shift();
  writing = line !== undefined;
  if (!writing) return;
  let written = 0;
  const next = () =>
    fs.write(port, line, written, line.length - written, null, (error, bytes) => {
      if (error) return setTimeout(next, 50);
      written += bytes;
      if (written < line.length) return next();
      queuedBytes -= line.length;
      write();
    });
  next();
}
