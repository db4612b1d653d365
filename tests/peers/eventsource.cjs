// npm's `eventsource` against the example sse_server, through a small proxy that notes the request
// heads and can cut the connections.
const { spawn } = require('node:child_process');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');
const readline = require('node:readline');
const { EventSource } = require('eventsource');

const runtime = process.argv[2] ?? 'smol';
let failed = 0;

function check(name, ok, detail = '') {
  console.log(ok ? `ok    ${name}` : `FAIL  ${name}: ${JSON.stringify(detail)}`);
  if (!ok) failed = 1;
}

const children = new Set();

/** Starts the server; resolves to the process and its port. */
function startServer(listen) {
  const child = spawn(path.join(process.env.EXAMPLES, 'sse_server'), ['--runtime', runtime, '--listen', listen], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.add(child);
  child.on('exit', () => children.delete(child));
  return withDeadline(10, 'the server starts', new Promise((resolve, reject) => {
    child.on('exit', () => reject(new Error('the server ended')));
    readline.createInterface({ input: child.stdout }).once('line', (line) => {
      const match = /^listening on http:\/\/127\.0\.0\.1:(\d+)$/.exec(line);
      match ? resolve({ child, port: Number(match[1]) }) : reject(new Error(`first line: ${line}`));
    });
  }));
}

function withDeadline(seconds, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${seconds} s`)), seconds * 1000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** An EventSource whose events can be awaited one after the other. */
class Subscriber {
  constructor(url) {
    this.events = [];
    this.waiting = [];
    this.errors = 0;
    this.source = new EventSource(url);
    this.source.addEventListener('message', (event) => {
      const waiter = this.waiting.shift();
      waiter ? waiter(event) : this.events.push(event);
    });
    this.source.addEventListener('error', () => this.errors++);
  }

  next(seconds) {
    const ready = this.events.shift();
    if (ready) return Promise.resolve(ready);
    return withDeadline(seconds, 'an event comes', new Promise((resolve) => this.waiting.push(resolve)));
  }
}

/** Forwards to `port()`, notes each request's fields, and can cut everything. */
function startProxy(port) {
  const seen = [];
  const sockets = new Set();
  const proxy = http.createServer((request, response) => {
    seen.push(request.headers);
    const forward = http.request(
      { host: '127.0.0.1', port: port(), path: request.url, headers: request.headers, agent: false },
      (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
        answer.on('error', () => response.destroy());
        answer.on('aborted', () => response.destroy());
      },
    );
    forward.on('error', () => response.destroy());
    response.on('close', () => forward.destroy());
    forward.end();
  });
  proxy.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  return new Promise((resolve) => proxy.listen(0, '127.0.0.1', () => resolve({
    url: `http://127.0.0.1:${proxy.address().port}/`,
    seen,
    cut: () => sockets.forEach((socket) => socket.destroy()),
    close: () => { sockets.forEach((socket) => socket.destroy()); proxy.close(); },
  })));
}

function isHello(event) {
  return event.type === 'message' && event.data === 'hello' && event.lastEventId === '1';
}

function show(event) {
  return { type: event.type, data: event.data, lastEventId: event.lastEventId };
}

async function main() {
  let server = await startServer('127.0.0.1:0');
  const { port } = server;
  const proxy = await startProxy(() => port);
  const direct = new Subscriber(`http://127.0.0.1:${port}/`);
  const proxied = new Subscriber(proxy.url);

  for (const n of [1, 2]) {
    const event = await direct.next(6);
    check(`event ${n} has its type, data and lastEventId`, isHello(event), show(event));
    check(`event ${n} has its origin`, event.origin === `http://127.0.0.1:${port}`, event.origin);
  }
  check('the proxied one is the same', isHello(await proxied.next(6)));
  check('no error so far', direct.errors === 0 && proxied.errors === 0, [direct.errors, proxied.errors]);
  check('the first request names no event', proxy.seen[0]['last-event-id'] === undefined, proxy.seen[0]);

  proxied.events.length = 0;
  proxy.cut();
  check('after a cut it comes back', isHello(await proxied.next(12)));
  check('and asks for what follows event 1', proxy.seen.at(-1)['last-event-id'] === '1', proxy.seen.at(-1));

  const gone = new Promise((resolve) => server.child.on('exit', resolve));
  server.child.kill('SIGKILL');
  await withDeadline(5, 'the server ends', gone);
  direct.events.length = 0;
  proxied.events.length = 0;
  server = await startServer(`127.0.0.1:${port}`);
  check('a server that starts again gets its port back', server.port === port, server.port);
  check('after a restart the direct one comes back', isHello(await direct.next(15)));
  check('after a restart the proxied one comes back', isHello(await proxied.next(15)));
  check('it saw the errors', direct.errors > 0 && proxied.errors > 1, [direct.errors, proxied.errors]);

  direct.source.close();
  proxied.source.close();
  proxy.close();
}

main()
  .catch((error) => check('every step comes to its end', false, error.message))
  .finally(() => {
    children.forEach((child) => child.kill('SIGKILL'));
    process.exit(failed);
  });
