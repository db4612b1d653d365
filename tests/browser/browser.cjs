// Loads pages of another origin in a headless Chromium, and reads what they print.
const { check, launch, run, servePages, start, stop } = require('./common.cjs');

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
  const pages = await servePages((path) => ({ '/events': eventSourcePage(events.url), '/echo': webSocketPage(echo.url) })[path]);
  const browser = await launch();
  try {
    const page = await browser.newPage();
    await page.goto(`${pages.url}/events`);
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

    await page.goto(`${pages.url}/echo`);
    const echoed = await lines(page, (got) => got.some((line) => line.startsWith('close')), 10);
    const same = [1, 2, 3, 4, 5].map((n) => `message ${n} same`);
    check('WebSocket gets its messages back and a clean close',
      echoed.join() === [...same, 'close 4000 done true'].join(), echoed);
  } finally {
    await browser.close();
    pages.close();
  }
}

run(main);
