#!/usr/bin/env node
// Publishes stats in the plain format: docs/languages.md. As a program it takes lines from
// stdin, such as `count 2 app.requests` and `set 0.5 app.load`, until they end.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const run = require('node:util').promisify(require('node:child_process').execFile);

const dir = process.env.STATVENT_PIPE_DIR || '/tmp/stats-pipe';
const pipe = path.join(dir, `${process.pid}.stats`);
const temporary = path.join(dir, `.tmp-${process.geteuid()}-${require('node:crypto').randomBytes(8).toString('hex')}`);
const stats = new Map();
let closed = false;

const set = (name, value) => stats.set(name, value);
const count = (name, by = 1) => set(name, (stats.get(name) ?? 0) + by);
const text = (value) => `${value}`.replace('Infinity', 'inf').replace('NaN', 'nan');

async function putFifo() {
  await run('mkfifo', ['-m', '644', temporary]); // Node has no call for it
  if (closed) fs.unlinkSync(temporary);
  else fs.renameSync(temporary, pipe);
}

async function start() {
  if (fs.mkdirSync(dir, { recursive: true })) fs.chmodSync(dir, 0o1777); // for every user
  process.on('exit', close);
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit());
  await putFifo();
  while (!closed) {
    const out = await fs.promises.open(pipe, fs.constants.O_WRONLY); // waits for a reader
    await putFifo(); // for the next one, before anything is written
    const lines = [...stats].map(([name, value]) => `${name.replace(/[\r\n]/g, ' ')}: ${text(value)}\n`);
    await out.writeFile(lines.join('')).catch(() => {}); // EPIPE: the reader left
    await out.close();
  }
}

function close() {
  if (closed || !fs.existsSync(pipe)) return;
  closed = true;
  fs.closeSync(fs.openSync(pipe, fs.constants.O_RDWR)); // a reader, for the thread that waits
  fs.unlinkSync(pipe);
}

module.exports = { start, close, count, set };

if (require.main === module) {
  start();
  const lines = require('node:readline').createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    const [, verb, value, name] = line.match(/^(\S+) (\S+) (.*)$/);
    (verb === 'count' ? count : set)(name, Number(value));
  });
  lines.on('close', () => process.exit());
}
