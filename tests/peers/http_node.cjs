// node's HTTP clients, `http.request` and `fetch`, against the test server.
const { spawn } = require('node:child_process');
const crypto = require('node:crypto');
const http = require('node:http');
const path = require('node:path');
const readline = require('node:readline');
const { setTimeout: sleep } = require('node:timers/promises');

const runtime = process.argv[2] ?? 'smol';
const children = new Set();
let failed = 0;

function check(name, ok, detail = '') {
  console.log(ok ? `ok    ${name}` : `FAIL  ${name}: ${String(JSON.stringify(detail)).slice(0, 300)}`);
  if (!ok) failed = 1;
}

function equal(name, got, want) {
  check(name, JSON.stringify(got) === JSON.stringify(want), { got, want });
}

function withDeadline(seconds, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${seconds} s`)), seconds * 1000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function startServer(...args) {
  const program = path.join(process.env.PROGRAMS, 'http-test-server');
  const child = spawn(program, ['--runtime', runtime, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.add(child);
  child.on('exit', () => children.delete(child));
  return withDeadline(10, 'the server starts', new Promise((resolve, reject) => {
    child.on('exit', () => reject(new Error('the server ended')));
    readline.createInterface({ input: child.stdout }).on('line', (line) => {
      const match = /^listening on http:\/\/127\.0\.0\.1:(\d+)$/.exec(line);
      if (match) resolve(Number(match[1]));
    });
  }));
}

function pattern(size) {
  return Buffer.from(Uint8Array.from({ length: size }, (_, n) => n % 251));
}

function summed(data) {
  return `${data.length} ${crypto.createHash('sha1').update(data).digest('hex')}`;
}

/** One request. `write(request)` sends its body; by default there is none. */
function ask(options, write = (request) => request.end()) {
  return withDeadline(10, `${options.method ?? 'GET'} ${options.path}`, new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', ...options });
    const told = { interim: [], reused: undefined };
    request.on('information', ({ statusCode, headers }) => told.interim.push({ statusCode, headers }));
    request.on('continue', () => (told.continued = true));
    request.on('error', reject);
    request.on('response', (response) => {
      const pieces = [];
      response.on('data', (piece) => pieces.push(piece));
      response.on('error', reject);
      response.on('end', () => resolve({
        ...told,
        reused: request.reusedSocket,
        status: response.statusCode,
        headers: response.headers,
        trailers: response.trailers,
        rawTrailers: response.rawTrailers,
        complete: response.complete,
        body: Buffer.concat(pieces),
      }));
    });
    write(request);
  }));
}

async function connections(port) {
  return Number((await ask({ port, path: '/stats', agent: false })).body.toString().split(' ')[0]);
}

async function keepAlive(port) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const before = await connections(port);
  const answers = [];
  for (const target of ['/', '/bytes/70000', '/status/204', '/status/304', '/status/404', '/bytes/0']) {
    for (const method of ['GET', 'HEAD', 'POST']) answers.push(await ask({ port, agent, path: target, method }));
  }
  check('every answer is complete', answers.every((it) => it.complete));
  equal('only the first needs a connection', answers.map((it) => it.reused), answers.map((_, n) => n > 0));
  equal('the server saw the same', await connections(port) - before, 2);
  agent.destroy();

  const many = new http.Agent({ keepAlive: true, maxSockets: 8 });
  const start = await connections(port);
  const sizes = Array.from({ length: 200 }, (_, n) => (n * 977) % 50_000);
  const bodies = await Promise.all(sizes.map((size) => ask({ port, agent: many, path: `/bytes/${size}` })));
  check('200 requests over 8 connections', bodies.every((it, n) => it.body.equals(pattern(sizes[n]))));
  equal('and no more', await connections(port) - start, 9);
  many.destroy();
  const closed = await ask({ port, path: '/', headers: { Connection: 'close' } });
  equal('Connection: close is answered so', closed.headers.connection, 'close');
}

async function uploads(port) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const large = pattern(5 << 20);
  const known = await ask({ port, agent, path: '/count', method: 'POST', headers: { 'Content-Length': large.length } }, (r) => r.end(large));
  equal('5 MiB by Content-Length', known.body.toString(), summed(large));
  const chunked = await ask({ port, agent, path: '/count', method: 'POST' }, async (request) => {
    for (let at = 0; at < large.length; at += 100_003) {
      if (!request.write(large.subarray(at, at + 100_003))) await new Promise((done) => request.once('drain', done));
    }
    request.end();
  });
  equal('5 MiB in chunks', chunked.body.toString(), summed(large));
  const slow = await ask({ port, agent, path: '/echo', method: 'PUT' }, async (request) => {
    for (const letter of 'trickle') {
      request.write(letter);
      await sleep(20);
    }
    request.end();
  });
  equal('chunks that trickle', slow.body.toString(), 'trickle');
  const withTrailers = await ask({ port, agent, path: '/echo', method: 'POST', headers: { Trailer: 'X-Sum' } }, (request) => {
    request.write('body');
    request.addTrailers({ 'X-Sum': '4' });
    request.end();
  });
  equal('trailers of a request do no harm', [withTrailers.status, withTrailers.body.toString()], [200, 'body']);
  check('all on one connection', chunked.reused && slow.reused && withTrailers.reused);
  const expecting = await ask({ port, agent, path: '/echo', method: 'POST', headers: { Expect: '100-continue', 'Content-Length': 3 } }, (request) => {
    request.flushHeaders();
    request.once('continue', () => request.end('abc'));
  });
  equal('100 Continue is an event', [expecting.continued, expecting.body.toString()], [true, 'abc']);
  agent.destroy();

  const refused = await ask({ port, path: '/early/413', method: 'POST', headers: { Expect: '100-continue', 'Content-Length': 3 } }, (r) => r.flushHeaders());
  equal('413 instead of it', [refused.continued, refused.status, refused.body.toString()], [undefined, 413, 'no']);
  const early = await ask({ port, path: '/early/403', method: 'POST' }, (request) => {
    request.write(large);
    // The rest is never sent: the answer comes all the same.
    setTimeout(() => request.destroy(), 3000).unref();
  });
  equal('an answer before the end of a request', [early.status, early.body.toString()], [403, 'no']);
}

async function both(port) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const hinted = await ask({ port, agent, path: '/hints' });
  equal('103 and 102 are information events', hinted.interim.map((it) => [it.statusCode, it.headers.link]),
    [[103, '</style.css>; rel=preload'], [102, undefined]]);
  equal('before the response', [hinted.status, hinted.body.toString()], [200, 'hinted']);
  const trailed = await ask({ port, agent, path: '/trailers', method: 'POST' }, (request) => {
    request.setHeader('Trailer', 'X-Sum');
    request.write('body');
    request.addTrailers({ 'X-Sum': '4', 'X-More': 'a b' });
    request.end();
  });
  equal('trailers of a request arrive', trailed.body.toString(), 'X-Sum: 4\nX-More: a b\n');
  equal('trailers of a response arrive', trailed.rawTrailers, ['X-Count', '2', 'X-Length', '4']);
  for (const how of ['chunked', 'known']) {
    const got = await ask({ port, agent, path: `/${how}/300000` });
    check(`300 kB in pieces, ${how}`, got.body.equals(pattern(300_000)) && got.reused);
    const head = await ask({ port, agent, path: `/${how}/300000`, method: 'HEAD' });
    equal(`HEAD of them, ${how}`, [head.status, head.body.length, head.reused], [200, 0, true]);
  }
  // Word by word: each is sent when the one before it has come back.
  const words = ['one', 'two', 'three'];
  const mirrored = await withDeadline(10, 'a mirror', new Promise((resolve, reject) => {
    const got = [];
    const request = http.request({ host: '127.0.0.1', port, agent, path: '/mirror', method: 'POST' }, (response) => {
      response.on('data', (piece) => {
        got.push(piece.toString());
        if (got.length < words.length) request.write(words[got.length]);
        else request.end();
      });
      response.on('error', reject);
      response.on('end', () => resolve(got));
    });
    request.on('error', reject);
    request.write(words[0]);
  }));
  equal('both sides talk at the same time', mirrored, words);
  const cut = await ask({ port, agent, path: '/cut/1000' }).catch((error) => error.code);
  equal('a response that is cut off is an error', cut, 'ECONNRESET');
  agent.destroy();
}

function frame(text) {
  const key = crypto.randomBytes(4);
  const data = Buffer.from(text).map((byte, n) => byte ^ key[n % 4]);
  return Buffer.concat([Buffer.from([0x81, 0x80 | data.length]), key, data]);
}

/** Says hello to the protocol `echo`. */
async function echo(what, options) {
  const got = await withDeadline(5, what, new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', ...options });
    const begin = (response, socket, head) => {
      let data = head.toString();
      socket.on('data', (piece) => (data += piece));
      socket.on('end', () => resolve([response.statusCode, data]));
      socket.write('hello ');
      setTimeout(() => socket.end('world'), 50);
    };
    request.on('upgrade', begin).on('connect', begin).on('error', reject);
    request.on('response', (response) => reject(new Error(`status ${response.statusCode}`)));
    request.end();
  }));
  equal(what, got, [options.method === 'CONNECT' ? 200 : 101, 'hello world']);
}

async function upgrade(port) {
  await echo('the upgrade to a protocol of its own', { port, path: '/upgrade', headers: { Connection: 'Upgrade', Upgrade: 'echo' } });
  await echo('a tunnel by CONNECT', { port, path: 'example.com:80', method: 'CONNECT' });
  const headers = {
    Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': crypto.randomBytes(16).toString('base64'),
  };
  const got = await withDeadline(5, 'the upgrade', new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, path: '/ws', headers });
    request.on('error', reject);
    request.on('response', (response) => reject(new Error(`status ${response.statusCode}`)));
    request.on('upgrade', (response, socket, head) => {
      let data = head;
      socket.on('data', (piece) => {
        data = Buffer.concat([data, piece]);
        if (data.length < 7) return;
        socket.destroy();
        resolve({ status: response.statusCode, to: response.headers.upgrade, data: data.toString('latin1') });
      });
      socket.write(frame('hello'));
    });
    request.end();
  }));
  equal('the upgrade event and an echo behind it', got, { status: 101, to: 'websocket', data: '\x81\x05hello' });
  const plain = await ask({ port, path: '/', headers: { Connection: 'Upgrade', Upgrade: 'h2c' } });
  equal('an upgrade that nobody wants is ignored', [plain.status, plain.body.toString()], [200, 'ok']);
}

async function byFetch(port) {
  const url = `http://127.0.0.1:${port}`;
  const large = pattern(3 << 20);
  const down = Buffer.from(await (await fetch(`${url}/bytes/${large.length}`)).arrayBuffer());
  check('fetch gets 3 MiB', down.equals(large));
  const body = new ReadableStream({
    pull(controller) {
      this.at = (this.at ?? 0) + 65_537;
      controller.enqueue(new Uint8Array(large.subarray(this.at - 65_537, this.at)));
      if (this.at >= large.length) controller.close();
    },
  });
  const up = await fetch(`${url}/count`, { method: 'POST', body, duplex: 'half' });
  equal('fetch sends a stream', await up.text(), summed(large));
  const statuses = [];
  for (const [method, code] of [['HEAD', 200], ['GET', 204], ['GET', 304], ['GET', 404], ['POST', 500]]) {
    const response = await fetch(`${url}/status/${code}`, { method });
    statuses.push([response.status, (await response.text()).length]);
  }
  equal('fetch gets statuses', statuses, [[200, 0], [204, 0], [304, 0], [404, 8], [500, 8]]);
  const events = await fetch(`${url}/events`);
  const reader = events.body.getReader();
  let text = '';
  while (!text.includes('data: 3\n\n')) text += Buffer.from((await reader.read()).value).toString();
  await reader.cancel();
  check('fetch reads an event stream', text.startsWith('data: 0\n\ndata: 1\n\n'), text);
}

async function idle() {
  const port = await startServer('--patience', '1000');
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const answers = [];
  for (const pause of [0, 300, 1400, 0]) {
    await sleep(pause);
    answers.push(await ask({ port, agent, path: '/' }));
  }
  equal('an idle connection is used until the server closes it', answers.map((it) => it.reused), [false, true, false, true]);
  agent.destroy();
}

async function main() {
  const port = await startServer();
  await keepAlive(port);
  await uploads(port);
  await both(port);
  await upgrade(port);
  await withDeadline(20, 'fetch', byFetch(port));
  await idle();
  check('the servers are still running', children.size === 2);
}

main()
  .catch((error) => check('every step comes to its end', false, `${error.message} ${error.cause ?? ''}`))
  .finally(() => {
    children.forEach((child) => child.kill('SIGKILL'));
    process.exit(failed);
  });
