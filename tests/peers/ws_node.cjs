// Random traffic with the `ws` package, in both roles, as ws_traffic.py has it with those of Python.
// SEED=N repeats the messages, cuts and parameters of a run; not its timing. With `tls` as the second
// argument they speak TLS, on fewer connections.
const { spawn } = require('node:child_process');
const crypto = require('node:crypto');
const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const net = require('node:net');
const path = require('node:path');
const readline = require('node:readline');
const { setImmediate: pause } = require('node:timers/promises');
const { WebSocket, WebSocketServer } = require('ws');

const runtime = process.argv[2] ?? 'smol';
const SEED = Number(process.env.SEED || crypto.randomInt(2 ** 32));
const SECONDS = 20; // for one connection
const COMBINATIONS = 28; // both sides with and without context takeover, each with windows of 9 to 15 bits
const PLAIN = 6; // connections on which one side alone would compress
const TLS = process.argv[3] === 'tls';
const NUMBERS = Array.from({ length: COMBINATIONS + PLAIN }, (_, number) => number).filter((number) => !TLS || number % 5 === 0);
const SCHEME = TLS ? 'wss' : 'ws';
const NAMES = ['server_no_context_takeover', 'client_no_context_takeover', 'server_max_window_bits', 'client_max_window_bits'];
let failed = 0;

function check(name, ok, detail = '') {
  console.log(ok ? `ok    ${name}` : `FAIL  ${name}: ${detail.slice(0, 600)}`);
  if (!ok) failed = 1;
}

function withDeadline(what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${SECONDS} s`)), SECONDS * 1000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Random numbers from a seed: a stream cipher over zeros. */
class Random {
  constructor(seed) {
    const key = crypto.createHash('sha256').update(seed).digest();
    this.cipher = crypto.createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  }
  bytes(size) { return this.cipher.update(Buffer.alloc(size)); }
  below(limit) { return Math.floor((this.bytes(4).readUInt32BE() / 2 ** 32) * limit); }
  within(from, to) { return from + this.below(to - from + 1); }
  of(list) { return list[this.below(list.length)]; }
  chance(probability) { return this.below(1000) < probability * 1000; }
}

const WORDS = ['tide ', 'wire ', 'na\u00efve ', '\u03b8\u03ac\u03bb\u03b1\u03c3\u03c3\u03b1 ', '\u043f\u0440\u0438\u043b\u0438\u0432 ',
  '\u6f6e\u6c50', '\u062a\u064a\u0651\u0627\u0631 ', '\u{1f30a}', '\u0915\u094d\u0937', '\n', '{"id": 17, ', '"text": "'];

/** Text of exactly so many bytes, as bytes. */
function text(random, size) {
  let words = '';
  while (Buffer.byteLength(words) < Math.min(size, 3000)) words += random.of(WORDS);
  const data = Buffer.alloc(size, words);
  // What was cut at the end of a character, and the zero that fills if there are no words.
  for (let i = size - 1; i >= 0 && i >= size - 4; i--) {
    if (Buffer.from(data.toString()).equals(data)) break;
    data.fill('x', i);
  }
  return data;
}

function message(random, earlier) {
  const size = random.of([0, 1, 2, 125, 126, 127, random.below(200), random.below(2000), random.below(2000),
    random.below(40_000), random.within(65535, 65537), random.below(300_000)]);
  if (earlier.length && random.chance(0.3)) return random.of(earlier);
  if (random.chance(0.5)) return { isText: true, data: text(random, size) };
  const period = random.of([1, random.within(1, 5000), size || 1]);
  return { isText: false, data: Buffer.alloc(size, random.bytes(period)) };
}

/** What one connection does, from a seed. */
class Task {
  constructor(role, number) {
    const random = (this.random = new Random(`${SEED} ${role} ${number}`));
    this.id = `node-${role}-${number}`;
    this.tls = { maxVersion: number % 2 ? 'TLSv1.2' : 'TLSv1.3' };
    this.messages = [];
    for (let n = random.within(1, 11); n > 0; n--) this.messages.push(message(random, this.messages));
    this.code = random.of([1000, 1001, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 3000, 3999, random.within(3000, 4999)]);
    this.reason = random.chance(0.8) ? text(random, random.below(124)).toString().replaceAll('\n', ' ') : '';
    this.weClose = random.chance(0.5); // we: the library's side
    this.pings = random.chance(0.7);
    this.ourPings = random.of([0, 1, 3]);
    this.query = new URLSearchParams({ id: this.id, ...random.of([{}, { stream: 1 }, { fragment: random.of([1000, 65536]) }]) });
    this.deflate = false; // the package's options
    if (number < COMBINATIONS) this.compress(number);
    else if (number % 2) this.deflate = true; // one side alone would
    else this.query.set('deflate', 1);
    if (this.ourPings) this.query.set('ping', this.ourPings);
    if (this.weClose) {
      this.query.set('after', this.messages.length);
      this.query.set('close', this.code);
      this.query.set('reason', Buffer.from(this.reason).toString('hex'));
    }
  }

  /** A limit is set by either side, or by both. */
  compress(number) {
    const { random } = this;
    const limits = [number & 1, (number >> 1) & 1, 9 + (number >> 2), 15 - (number >> 2)];
    for (const [key, value] of [['deflate', 1], ['level', random.within(1, 9)], ['threshold', random.of([0, 0, 64, 1000])]]) {
      this.query.set(key, value);
    }
    // The package's own threshold is 1024.
    this.deflate = { ...random.of([{}, { threshold: 0 }]), zlibDeflateOptions: { level: random.within(0, 9) } };
    NAMES.forEach((name, i) => {
      const side = random.of(['ours', 'theirs', 'both']);
      if (limits[i] && side !== 'theirs') this.query.set(name, limits[i]);
      const option = name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
      if (side !== 'ours') this.deflate[option] = i < 2 ? Boolean(limits[i]) : limits[i];
    });
  }
}

/** What the package agreed on: the four parameters, or `none`. */
function agreed(socket) {
  const deflate = socket._extensions['permessage-deflate'];
  if (!deflate) return 'none';
  const { params } = deflate;
  return NAMES.map((name, i) => (i < 2 ? Number(params[name] ?? false) : params[name] ?? 15)).join(' ');
}

/** Hands on what comes, in pieces of any size. */
async function proxy(port, random) {
  const pump = async (random, from, to) => {
    const typical = random.of([2, 40, 1000, 20_000, 1_000_000]);
    let done = 0;
    try {
      for await (let data of from) {
        while (data.length) {
          // Small pieces for the first thousands of bytes, for the sake of time.
          const size = random.within(1, 2 * Math.max(typical, done / 20));
          if (!to.write(data.subarray(0, size))) await once(to, 'drain');
          done += size;
          data = data.subarray(size);
          await pause();
        }
      }
      to.end();
    } catch {
      to.destroy();
    }
  };
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const far = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    for (const socket of [near, far]) socket.on('error', () => socket.destroy());
    pump(new Random(random.bytes(8)), near, far);
    pump(new Random(random.bytes(8)), far, near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** The peer's part in a connection. Resolves to what was wrong, and the code and reason that came. */
async function traffic(socket, task) {
  const { random } = task;
  const wrong = [];
  const unanswered = [];
  let received = 0, allReceived;
  const all = new Promise((resolve) => (allReceived = resolve));
  socket.on('message', (data, isBinary) => {
    const sent = task.messages[received++];
    if (!sent || sent.isText === isBinary || !sent.data.equals(data)) {
      wrong.push(`message ${received - 1} of ${sent?.data.length} came back as ${data.length}`);
    }
    if (received === task.messages.length) allReceived();
  });
  const pong = new Promise((resolve) => {
    socket.on('pong', (payload) => {
      // One may stand for several pings (RFC 6455, 5.5.3).
      const at = unanswered.findIndex((sent) => sent.equals(payload));
      if (at < 0) wrong.push(`a pong with ${payload.toString('hex')}`);
      unanswered.splice(0, at + 1);
      if (!unanswered.length) resolve();
    });
  });
  socket.on('error', (error) => wrong.push(`error ${error.message}`));
  const closed = once(socket, 'close');
  const deflate = agreed(socket);

  for (const { data, isText } of task.messages) {
    const cuts = random.chance(0.5) ? [] : Array.from({ length: random.of([1, 2, 3, 20]) }, () => random.below(data.length + 1));
    const at = [0, ...cuts.sort((a, b) => a - b), data.length];
    for (let i = 1; i < at.length; i++) {
      const fin = i === at.length - 1;
      const sent = new Promise((resolve) => socket.send(data.subarray(at[i - 1], at[i]), { fin, binary: !isText }, resolve));
      if (task.pings && random.chance(0.3)) {
        const payload = random.bytes(random.of([0, 1, 4, 125]));
        socket.ping(payload);
        unanswered.push(payload);
      }
      await sent;
    }
  }
  await Promise.race([all, closed]);
  if (!task.weClose) {
    if (unanswered.length) await Promise.race([pong, closed]);
    socket.close(task.code, task.reason);
  }
  const [code, reason] = await closed;
  if (received !== task.messages.length) wrong.push(`${received} of ${task.messages.length} messages came back`);
  return { wrong, deflate, code, reason: reason.toString() };
}

/** A test program, and the lines that it prints. */
class Program {
  constructor(name, ...args) {
    const program = path.join(process.env.PROGRAMS, name);
    this.child = spawn(program, ['--runtime', runtime, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    process.on('exit', () => this.child.kill());
    this.lines = readline.createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }
  async line() { return (await withDeadline('a line', this.lines.next())).value ?? ''; }
  get isUp() { return this.child.exitCode === null; }
}

/** The parameters on our side and on the package's. */
function compareDeflate(role, task, ours, theirs) {
  if (!(task.query.has('deflate') && task.deflate) || ours === 'none' || theirs === 'none') {
    const both = task.query.has('deflate') && task.deflate;
    return !both && ours === 'none' && theirs === 'none' ? [] : [`compression is ${ours} here and ${theirs} there`];
  }
  const differs = [];
  ours = ours.split(' ').map(Number);
  theirs = theirs.split(' ').map(Number);
  NAMES.forEach((name, i) => {
    // The larger, the more of a limit. A client may keep itself to more than it told the server.
    const limits = (value) => (i < 2 ? value : -value);
    const mayDiffer = role === 'client' && name.startsWith('client') && limits(ours[i]) > limits(theirs[i]);
    if (ours[i] !== theirs[i] && !mayDiffer) differs.push(`${name} is ${ours[i]} here and ${theirs[i]} there`);
    const limit = Number(task.query.get(name) ?? (i < 2 ? 0 : 15));
    if (limits(ours[i]) < limits(limit)) differs.push(`${name} is ${ours[i]} in spite of ${limit}`);
  });
  return differs;
}

function compare(role, task, said, { wrong, deflate, code, reason }) {
  const expected = { kind: 'ended', id: task.id, messages: `${task.messages.length}`, code: `${task.code}`, clean: 'true', strange: '0' };
  if (!task.weClose) Object.assign(expected, { reason: task.reason, pongs: said.pings, unanswered: '0' });
  const differs = [...wrong, ...compareDeflate(role, task, said.deflate ?? 'none', deflate)];
  for (const [key, value] of Object.entries(expected)) {
    if (said[key] !== value) differs.push(`${key} is ${said[key]}, not ${value}`);
  }
  if (code !== task.code) differs.push(`closed with ${code}, not ${task.code}`);
  if (task.weClose && reason !== task.reason) differs.push(`closed with ${reason}, not ${task.reason}`);
  return differs;
}

async function role(role, program, connect) {
  let done = 0, bytes = 0;
  for (const number of NUMBERS) {
    const task = new Task(role, number);
    let differs;
    try {
      const seen = await withDeadline(task.id, connect(task));
      const [kind, ...words] = (await program.line()).split('\t');
      const said = Object.fromEntries(words.map((word) => [word.split('=', 1)[0], word.slice(word.indexOf('=') + 1)]));
      differs = compare(role, task, { kind, ...said }, seen);
    } catch (error) {
      differs = [error.message];
    }
    if (differs.length) check(`our ${role}, ${task.id} ${task.query}`, false, differs.join('; '));
    else done++;
    bytes += task.messages.reduce((sum, { data }) => sum + data.length, 0);
  }
  check(`our ${role} is still up`, program.isUp);
  check(`our ${role}: ${done} connections, ${bytes >> 10} KiB there and back${TLS ? ' by TLS' : ''} (seed ${SEED})`, done === NUMBERS.length);
}

async function main() {
  const pki = (name) => path.join(process.env.PKI, name);
  const server = new Program('ws-test-server', '--listen', '127.0.0.1:0', ...(TLS ? ['--cert', pki('server.pem'), '--key', pki('server.key')] : []));
  const [, port] = /^listening on wss?:\/\/127\.0\.0\.1:(\d+)$/.exec(await server.line());
  await role('server', server, async (task) => {
    const near = await proxy(Number(port), task.random);
    const options = { perMessageDeflate: task.deflate, ...(TLS && { ca: readFileSync(pki('ca.pem')), ...task.tls }) };
    const socket = new WebSocket(`${SCHEME}://127.0.0.1:${near.address().port}/?${task.query}`, options);
    await once(socket, 'open');
    const seen = await traffic(socket, task);
    near.close();
    return seen;
  });

  const client = new Program('ws-test-client', ...(TLS ? ['--ca', pki('ca.pem')] : []));
  await role('client', client, async (task) => {
    const below = TLS
      ? https.createServer({ cert: readFileSync(pki('server.pem')), key: readFileSync(pki('server.key')), ...task.tls })
      : http.createServer();
    const listener = new WebSocketServer({ server: below, perMessageDeflate: task.deflate });
    await once(below.listen(0, '127.0.0.1'), 'listening');
    const near = await proxy(below.address().port, task.random);
    client.child.stdin.write(`${SCHEME}://127.0.0.1:${near.address().port}/?${task.query}\n`);
    const [socket] = await once(listener, 'connection');
    const seen = await traffic(socket, task);
    listener.close();
    below.close();
    near.close();
    return seen;
  });
  process.exit(failed);
}

main().catch((error) => {
  check('the script comes to its end', false, error.stack);
  process.exit(1);
});
