// Loads pages of another origin in a headless Chromium, and reads what they print.
const { spawn } = require('node:child_process');
const http = require('node:http');
const path = require('node:path');
const readline = require('node:readline');
const { chromium } = require('playwright-core');

const runtime = process.argv[2] ?? 'smol';
const children = new Set();
let failed = 0;

function check(name, ok, detail = '') {
  console.log(ok ? `ok    ${name}` : `FAIL  ${name}: ${JSON.stringify(detail)}`);
  if (!ok) failed = 1;
}

/** Starts an example; resolves to its process and address. */
function start(name, listen = '127.0.0.1:0') {
  const child = spawn(path.join(process.env.EXAMPLES, name), ['--runtime', runtime, '--listen', listen], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.add(child);
  return new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`${name} did not start`)), 10_000).unref();
    child.on('exit', () => { children.delete(child); reject(new Error(`${name} ended`)); });
    readline.createInterface({ input: child.stdout }).once('line', (line) => {
      const match = /^listening on ((?:http|ws):\/\/127\.0\.0\.1:\d+)$/.exec(line);
      match ? resolve({ child, url: match[1] }) : reject(new Error(`first line of ${name}: ${line}`));
    });
  });
}

function stop(server) {
  return new Promise((resolve) => { server.child.on('exit', resolve); server.child.kill('SIGKILL'); });
}

const eventSourcePage = (url) => `<!doctype html><title>events</title><pre id="out"></pre><script>
  const out = document.getElementById('out');
  const print = (line) => { out.textContent += line + '\\n'; };
  const source = new EventSource('${url}');
  source.addEventListener('open', () => print('open'));
  source.addEventListener('error', () => print('error ' + source.readyState));
  source.addEventListener('message', (event) => {
    print([event.data, event.type, event.lastEventId, event.origin].join(' '));
  });
</script>`;

const webSocketPage = (url) => `<!doctype html><title>echo</title><pre id="out"></pre><script>
  const out = document.getElementById('out');
  const print = (line) => { out.textContent += line + '\\n'; };
  const socket = new WebSocket('${url}');
  socket.binaryType = 'arraybuffer';
  const messages = ['hello', 'Gr\\u00fc\\u00dfe', '', 'x'.repeat(70000), new Uint8Array([0, 255]).buffer];
  socket.onopen = () => messages.forEach((message) => socket.send(message));
  let n = 0;
  socket.onmessage = ({ data }) => {
    const sent = messages[n++];
    const same = typeof data === 'string' ? data === sent : String(new Uint8Array(data)) === String(new Uint8Array(sent));
    print('message ' + n + ' ' + (same ? 'same' : 'different'));
    if (n === messages.length) socket.close(4000, 'done');
  };
  socket.onclose = ({ code, reason, wasClean }) => print(['close', code, reason, wasClean].join(' '));
</script>`;

/** The page's lines once `enough` says so, or those that are there when time is up. */
async function lines(page, enough, seconds) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const text = await page.locator('#out').textContent({ timeout: 5000 });
    const got = text.split('\n').filter(Boolean);
    if (enough(got) || Date.now() > end) return got;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function main() {
  let events = await start('sse_server');
  const echo = await start('ws_echo_server');
  const pages = http.createServer((request, response) => {
    const page = { '/events': eventSourcePage(events.url), '/echo': webSocketPage(echo.url) }[request.url];
    response.writeHead(page ? 200 : 404, { 'Content-Type': 'text/html; charset=utf-8' });
    response.end(page);
  });
  await new Promise((resolve) => pages.listen(0, '127.0.0.1', resolve));
  const base = `http://127.0.0.1:${pages.address().port}`;
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    timeout: 30_000,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--no-proxy-server'],
  });
  try {
    const page = await browser.newPage();
    await page.goto(`${base}/events`);
    const hello = `hello message 1 ${events.url}`;
    const first = await lines(page, (got) => got.length >= 3, 10);
    check('EventSource opens and prints hello twice, with type, id and origin',
      first.join() === ['open', hello, hello].join(), first);

    await stop(events);
    const cut = await lines(page, (got) => got.some((line) => line.startsWith('error')), 5);
    check('it sees the server go, and means to reconnect', cut.includes('error 0'), cut);
    events = await start('sse_server', new URL(events.url).host);
    const again = await lines(page, (got) => got.lastIndexOf('open') > 0 && got.at(-1) === hello, 20);
    check('it comes back by itself and prints hello', again.lastIndexOf('open') > 0 && again.at(-1) === hello, again);

    await page.goto(`${base}/echo`);
    const echoed = await lines(page, (got) => got.some((line) => line.startsWith('close')), 10);
    const same = [1, 2, 3, 4, 5].map((n) => `message ${n} same`);
    check('WebSocket gets its messages back and a clean close',
      echoed.join() === [...same, 'close 4000 done true'].join(), echoed);
  } finally {
    await browser.close();
    pages.close();
  }
}

main()
  .catch((error) => check('every step comes to its end', false, error.message))
  .finally(() => {
    children.forEach((child) => child.kill('SIGKILL'));
    process.exit(failed);
  });
