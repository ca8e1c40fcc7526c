#!/usr/bin/env node
// Publishes stats in the plain format: docs/languages.md. As a program it takes lines from
// stdin, such as `count 2 app.requests` and `set 0.5 app.load`, until they end.
'use strict';
const fs = require('node:fs');
const { execFileSync } = require('node:child_process');

const dir = process.env.STATVENT_PIPE_DIR || '/tmp/stats-pipe';
const pipe = `${dir}/${process.pid}.stats`;
const temporary = `${dir}/.tmp-${process.geteuid()}-${require('node:crypto').randomBytes(8).toString('hex')}`;
const stats = new Map();
let waiting, closed = false; // a descriptor of the pipe that the next reader gets

const set = (name, value) => stats.set(name, value);
const count = (name, by = 1) => set(name, (stats.get(name) ?? 0) + by);
const text = (value) => `${value}`.replace('Infinity', 'inf').replace('NaN', 'nan');

function putFifo() {
  execFileSync('mkfifo', ['-m', '644', temporary]); // Node has no call for it
  if (waiting) fs.closeSync(waiting);
  waiting = fs.openSync(temporary, 0o10000000); // O_PATH: no reader, and no writer
  fs.renameSync(temporary, pipe);
}

function start() {
  if (fs.mkdirSync(dir, { recursive: true })) fs.chmodSync(dir, 0o1777); // for every user
  process.on('exit', close);
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit());
  putFifo();
  serve().catch(console.error); // it publishes no more, and goes on
}

async function serve() {
  while (!closed) {
    const out = await fs.promises.open(pipe, fs.constants.O_WRONLY); // waits for a reader
    if (!closed) putFifo(); // for the next one, before anything is written
    const lines = [...stats].map(([name, value]) => `${name.replace(/[\r\n]/g, ' ')}: ${text(value)}\n`);
    await out.writeFile(lines.join('')).catch(() => {}); // EPIPE: the reader left
    await out.close();
  }
}

function close() {
  if (closed) return;
  closed = true;
  fs.rmSync(pipe, { force: true });
  fs.closeSync(fs.openSync(`/proc/self/fd/${waiting}`, fs.constants.O_RDWR)); // ends the wait
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
