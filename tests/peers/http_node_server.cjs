// node's HTTP server for http_client.py: `node http_node_server.cjs PORT`.
const crypto = require('node:crypto');
const http = require('node:http');
const { setTimeout: sleep } = require('node:timers/promises');

function summed(pieces) {
  const data = Buffer.concat(pieces);
  return `${data.length} ${crypto.createHash('sha1').update(data).digest('hex')}`;
}

async function count(request, response) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  response.end(`${summed(pieces)} ${JSON.stringify(request.trailers)}`);
}

// What no server should say, as bytes.
const WRONG = {
  'bare-lf': 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok',
  'two-lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok',
  'length-and-coding': 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
  'obs-fold': 'HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok',
  'space-before-colon': 'HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok',
  'bad-chunk': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokX\r\n0\r\n\r\n',
  'unasked-upgrade': 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
  'no-http': 'SSH-2.0-OpenSSH_9.2\r\n\r\n',
  'cut-head': 'HTTP/1.1 200 OK\r\nContent-Le',
  'cut-body': 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok',
  'cut-chunks': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n',
  nothing: '',
  // Two answers to one question: the second is for nobody.
  twice: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil',
};

async function answer(request, response) {
  const [, name, argument] = request.url.split('/');
  switch (name) {
    case 'count': return count(request, response);
    case 'hints':
      response.writeEarlyHints({ link: '</style.css>; rel=preload' });
      response.writeProcessing();
      await sleep(50);
      return response.end('hinted');
    case 'trailers':
      response.writeHead(200, { Trailer: 'X-Sum, X-More' });
      response.write('some');
      response.addTrailers({ 'X-Sum': '8', 'X-More': 'yes' });
      return response.end('body');
    case 'close':
      response.setHeader('Connection', 'close');
      return response.end('closed');
    case 'delimited': // by the end of the connection
      response.useChunkedEncodingByDefault = false;
      response.shouldKeepAlive = false;
      response.removeHeader('Transfer-Encoding');
      response.write(Buffer.alloc(100_000, 'x'));
      return response.end('end');
    case 'port': return response.end(String(request.socket.remotePort));
    case 'drip':
      for (let n = 0; n < Number(argument); n++) {
        response.write(`${n % 10}`);
        await sleep(10);
      }
      return response.end();
    case 'both': // sends back while it receives
      response.flushHeaders();
      for await (const piece of request) response.write(piece);
      return response.end();
    case 'wrong':
      return request.socket.end(Buffer.from(WRONG[argument], 'latin1'));
    case 'reset':
      response.write('some');
      await sleep(50);
      return request.socket.resetAndDestroy();
    default:
      response.statusCode = 404;
      return response.end();
  }
}

/** Clients that leave are meant to. */
function guarded(handler) {
  return (request, response) => handler(request, response).catch(() => response.destroy());
}

async function answerExpectation(request, response) {
  const [, , argument] = request.url.split('/');
  switch (argument) {
    case 'refuse':
      response.statusCode = 403;
      return response.end('no');
    case 'unknown':
      response.statusCode = 417;
      return response.end();
    case 'late':
      await sleep(300);
      response.writeContinue();
      return count(request, response);
    case 'silent': return count(request, response);
    default:
      response.writeContinue();
      return count(request, response);
  }
}

const server = http.createServer({ keepAliveTimeout: 1000 }, guarded(answer));
/** The protocol `echo`; a CONNECT to anywhere leads to it too. */
function echo(head) {
  return (request, socket, rest) => {
    socket.on('error', () => {});
    socket.write(head);
    if (rest.length) socket.write(rest);
    socket.pipe(socket);
  };
}
server.on('upgrade', (request, socket, rest) => {
  // What follows the head in one segment must not be lost.
  const head = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nwelcome ';
  echo(head)(request, socket, rest);
});
server.on('checkContinue', guarded(answerExpectation));
server.listen(Number(process.argv[2]), '127.0.0.1');
