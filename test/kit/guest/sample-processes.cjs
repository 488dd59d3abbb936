// Runs in the guest (Node 18): prints each command line that is new, until its standard input ends.

const fs = require('node:fs');

const EVERY_MS = 20;
const seen = new Set();

process.stdin.on('end', () => process.exit()).resume();
setInterval(look, EVERY_MS);
look();

function look() {
  for (const pid of fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const line = commandLine(pid);
    if (line === '' || seen.has(line)) continue;
    seen.add(line);
    process.stdout.write(`${line}\n`);
  }
}

function commandLine(pid) {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').replaceAll('\n', ' ').trim();
  } catch {
    return '';
  }
}
