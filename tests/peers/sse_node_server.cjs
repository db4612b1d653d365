// A server of event streams by node's `http`, for our client: its port is the argument. It sends bytes
// that no library would: the format at its edges.
const http = require('node:http');
const zlib = require('node:zlib');

const asked = [];
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const HEAD = { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' };

/** Writes in pieces of so many bytes, each for itself on the wire. */
async function pieces(response, bytes, size) {
  for (let at = 0; at < bytes.length; at += size) {
    response.write(bytes.subarray(at, at + size));
    await sleep(1);
  }
}

const EDGES = Buffer.from(
  '\uFEFFdata: behind a mark\n\n' + // a byte order mark counts for nothing at the start
  ':comment\r\n: \rdata:no space\r\rdata:  two spaces\n\n' +
  'data\ndata\n\n' + // two empty lines are one LF
  'id: 1\ndata: Grüße ☃ 𝄞\r\n\r\n' +
  'id: 2\0\ndata: NUL in an id\n\n' +
  'event: e\nid\ndata: empty id\n\n' +
  'unknown: field\n data: space before\ndata : space behind\nDATA: case\ndata: known\n\n' +
  'retry: 50\nretry: 1e3\nretry: -1\nretry:\nretry: 9x\n\n' +
  'event: without data\n\n' +
  'event:\ndata: empty type\n\n' +
  'id: end\ndata: last\n\n' +
  'data: never finished\n',
);

const routes = {
  '/edges': async (request, response, query) => {
    response.writeHead(200, HEAD);
    response.socket.setNoDelay(true);
    await pieces(response, EDGES, Number(query.get('size') ?? EDGES.length));
    response.end();
  },
  '/bad-utf8': (request, response) => {
    response.writeHead(200, HEAD);
    response.end(Buffer.concat([Buffer.from('data: '), Buffer.from([0xff, 0xe2, 0x98, 0x20, 0x78, 0xf0, 0x9f]), Buffer.from('\n\n')]));
  },
  '/events': async (request, response, query) => {
    const last = Number(request.headers['last-event-id'] ?? 0);
    const to = Number(query.get('to'));
    if (last >= to) return response.writeHead(204).end();
    response.writeHead(200, { ...HEAD, 'Content-Type': 'Text/Event-Stream;charset=UTF-8' });
    for (let n = last + 1, sent = 1; n <= to; n++, sent++) {
      response.write(`id: ${n}\ndata: ${n}${'x'.repeat(Number(query.get('size') ?? 0))}\n\n`);
      if (sent === Number(query.get('reset'))) return setTimeout(() => response.socket.resetAndDestroy(), 50);
      if (sent === Number(query.get('cut'))) return setTimeout(() => response.socket.destroy(), 50);
      if (sent === Number(query.get('end'))) break;
      if (query.has('every')) await sleep(Number(query.get('every')));
    }
    response.end();
  },
  '/stalled': async (request, response) => {
    response.writeHead(200, HEAD);
    response.write('id: 7\ndata: and then nothing\n\n');
  },
  '/gzip': (request, response) => {
    const asks = request.headers['accept-encoding'] ?? '';
    const zips = /gzip|\*/.test(asks);
    response.writeHead(200, { ...HEAD, 'X-Asked': asks, ...(zips ? { 'Content-Encoding': 'gzip' } : {}) });
    response.end(zips ? zlib.gzipSync('data: 1\n\n') : 'data: 1\n\n');
  },
  '/always-gzip': (request, response) => {
    response.writeHead(200, { ...HEAD, 'Content-Encoding': 'gzip' });
    response.end(zlib.gzipSync('data: 1\n\n'));
  },
  '/as': (request, response, query) => {
    const type = query.get('type');
    response.writeHead(200, type ? { 'Content-Type': type } : {});
    response.end('data: 1\n\n');
  },
  '/fail': (request, response, query) => {
    response.writeHead(Number(query.get('status')), { 'Content-Type': 'application/json', 'WWW-Authenticate': 'Bearer' });
    response.end('{"error":"no such model"}');
  },
  '/loop': (request, response) => response.writeHead(307, { Location: '/loop' }).end(),
  '/away': (request, response) => response.writeHead(307, { Location: 'ftp://127.0.0.1/' }).end(),
  '/words': async (request, response) => {
    let body = '';
    for await (const piece of request) body += piece;
    const { prompt } = JSON.parse(body);
    response.writeHead(200, HEAD);
    for (const word of prompt.split(' ')) {
      response.write(`data: ${JSON.stringify({ token: word, type: request.headers['content-type'] })}\n\n`);
      await sleep(100);
    }
    response.end('data: [DONE]\n\n');
  },
  '/asked': (request, response) => response.end(JSON.stringify(asked)),
};

http.createServer((request, response) => {
  const url = new URL(request.url, 'http://h');
  if (url.pathname !== '/asked') {
    // Fields come as Latin-1.
    const id = request.headers['last-event-id'];
    asked.push([request.url, id === undefined ? null : Buffer.from(id, 'latin1').toString(), request.headers.authorization]);
  }
  response.on('error', () => {});
  const route = routes[url.pathname];
  route ? route(request, response, url.searchParams) : response.writeHead(404).end();
}).listen(Number(process.argv[2]), '127.0.0.1');
