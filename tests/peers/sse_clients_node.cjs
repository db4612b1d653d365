// npm's `eventsource` against `sse-test-server`: everything that an event can have, reconnection, the
// statuses that end it, a hub, and a POST.
const { spawn } = require('node:child_process');
const path = require('node:path');
const readline = require('node:readline');
const { EventSource } = require('eventsource');

const runtime = process.argv[2] ?? 'smol';
let failed = 0;
let server;

function check(name, ok, detail = '') {
  console.log(ok ? `ok    ${name}` : `FAIL  ${name}: ${JSON.stringify(detail)?.slice(0, 600)}`);
  if (!ok) failed = 1;
}

function same(name, got, want) {
  check(name, JSON.stringify(got) === JSON.stringify(want), { got, want });
}

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, n) => String(from + n));

function startServer() {
  const child = spawn(path.join(process.env.PROGRAMS, 'sse-test-server'), ['--runtime', runtime, '--listen', '127.0.0.1:0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const said = [];
  return new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error('the server did not start')), 10_000).unref();
    child.on('exit', () => reject(new Error('the server ended')));
    const lines = readline.createInterface({ input: child.stdout });
    lines.once('line', (line) => {
      resolve({ child, url: line.replace('listening on ', ''), said });
      lines.on('line', (more) => said.push({ at: performance.now(), ...JSON.parse(more) }));
    });
  });
}

const asked = (target) => server.said.filter(({ request }) => request?.target === target).map(({ request }) => request['Last-Event-ID'] ?? null);

async function ended(target) {
  const end = performance.now() + 3000;
  for (;;) {
    const found = server.said.find((it) => it.ended === target);
    if (found || performance.now() > end) return found;
    await sleep(0.02);
  }
}

/** Reads events until there are `count`, or the source is closed, or time is up; then closes. */
async function watch(target, { types = [], count = Infinity, seconds = 10, onError = () => {}, ...init } = {}) {
  const source = new EventSource(server.url + target, init);
  const seen = { events: [], opens: 0, errors: [], codes: [] };
  await new Promise((resolve) => {
    const late = setTimeout(resolve, seconds * 1000);
    const done = () => { clearTimeout(late); resolve(); };
    const note = ({ type, data, lastEventId, origin }) => {
      seen.events.push({ type, data, id: lastEventId, origin });
      if (seen.events.length === count) done();
    };
    ['message', ...types].forEach((type) => source.addEventListener(type, note));
    source.addEventListener('open', () => seen.opens++);
    source.addEventListener('error', ({ code }) => {
      seen.errors.push(source.readyState);
      seen.codes.push(code ?? null);
      onError(seen.errors.length);
      if (source.readyState === EventSource.CLOSED) done();
    });
  });
  seen.final = source.readyState;
  source.close();
  await sleep(0.1); // what the server has told is read now
  return seen;
}

async function streams() {
  let target = '/events?to=5&every=50&retry=50';
  let seen = await watch(target);
  same('events arrive with type, data, id and origin', seen.events.map(({ type, data, id, origin }) => [type, data, id, origin]),
    numbers(1, 5).map((n) => ['message', n, n, server.url]));
  same('it reconnects behind the end, and 204 closes it', [seen.opens, seen.errors, seen.codes, seen.final], [1, [0, 2], [null, 204], 2]);
  same('the second request names the last event', asked(target), [null, '5']);
  await sleep(0.2);
  same('after 204 there is no other request', asked(target).length, 2);

  seen = await watch('/formats', { types: ['custom', 'Zeit/Überschrift'], count: 14 });
  // An event without an id should have that of the one before it (WHATWG HTML, 9.2.6), and has none here.
  same('everything that an event can have', seen.events.map(({ type, data, id }) => [type, data, id]), [
    ['message', 'plain', ''],
    ['message', 'two\nlines', ''],
    ['message', 'CR\nLF\nboth\nnone', ''],
    ['message', '', ''],
    ['message', ' leading and trailing ', ''],
    ['message', 'colons: and\n:more', ''],
    ['message', '{"text":"Grüße ☃ 𝄞"}', ''],
    ['message', 'a NUL \0 stays', 'with spaces'],
    ['custom', 'keeps the id', ''],
    ['Zeit/Überschrift', 'other', 'é'],
    ['message', 'behind nothing', ''],
    ['message', 'forgotten', ''],
    ['message', '\n', ''],
    ['message', 'last', 'end'],
  ]);
  seen = await watch('/events?to=3&type=ping&retry=20', { types: ['ping'] });
  same('a type of its own goes to its listeners alone', seen.events.map(({ type, data }) => [type, data]), numbers(1, 3).map((n) => ['ping', n]));
  seen = await watch('/events?to=2&size=3000000&retry=20', { seconds: 20 });
  check('events of 3 MB', seen.events.length === 2 && seen.events.every(({ data }, n) => data === `${n + 1}${'x'.repeat(3e6)}`),
    seen.events.map(({ data }) => data.length));
}

async function reconnection() {
  let target = '/events?to=1000&cut=400&size=300&retry=20';
  let seen = await watch(target, { seconds: 20 });
  same('1,000 events through cuts, none lost or twice, in order', seen.events.map(({ id }) => id), numbers(1, 1000));
  check('with all of their data', seen.events.every(({ id, data }) => data === id + 'x'.repeat(300)));
  const ids = asked(target).map(Number);
  check('each request says where to go on', asked(target)[0] === null && ids.length >= 4 && ids.at(-1) === 1000 &&
    ids.every((id, n) => n === 0 || (id >= ids[n - 1] && id - ids[n - 1] <= 400)), ids);
  target = '/events?to=4&end=1&retry=400';
  seen = await watch(target);
  same('a stream that ends after each event', [seen.events.map(({ id }) => id), asked(target)], [numbers(1, 4), [null, ...numbers(1, 4)]]);
  const times = server.said.filter((it) => it.ended === target || it.request?.target === target);
  const waits = times.slice(1).flatMap((it, n) => (it.request ? [Math.round(it.at - times[n].at)] : []));
  check('`retry: 400` is how long it waits', waits.length === 4 && waits.every((wait) => wait > 350 && wait < 1200), waits);
}

async function ends() {
  for (const [target, code] of [['/status/204', 204], ['/status/500', 500], ['/as/text/plain', 200]]) {
    const seen = await watch(target, { seconds: 5 });
    same(`${target} closes it for good`, [seen.opens, seen.codes, seen.final, seen.events.length], [0, [code], 2, 0]);
  }
  for (const status of [301, 302, 303, 307, 308]) {
    const seen = await watch(`/redirect/${status}?/events?to=2&retry=20`);
    same(`a redirect by ${status}`, seen.events.map(({ id }) => id), ['1', '2']);
  }
  const target = '/events?every=20&close';
  await watch(target, { count: 3 });
  const now = performance.now() - 100;
  const end = await ended(target);
  check('close() is noticed by the server within a second', end?.how === 'left' && end.at - now < 1000, end);
}

async function hub() {
  const publish = (topic, from, to) => fetch(`${server.url}/hub/${topic}?from=${from}&to=${to}`, { method: 'POST' });
  await publish('short', 1, 10);
  let first = true;
  let seen = await watch('/hub/short?end=4', {
    count: 10,
    // Without a last id there is no replay: the first request names an event by hand.
    fetch: (url, init) => fetch(url, first ? { ...init, headers: { ...init.headers, 'Last-Event-ID': '1' }, ...(first = false) } : init),
    onError: (n) => { if (n === 2) publish('short', 11, 11); },
  });
  same('a topic through streams that end after four events', seen.events.map(({ id }) => id), numbers(2, 11));
  first = true;
  await publish('long', 1, 41);
  seen = await watch('/hub/long?end=40', {
    types: ['gap'],
    count: 141,
    fetch: (url, init) => fetch(url, first ? { ...init, headers: { ...init.headers, 'Last-Event-ID': '1' }, ...(first = false) } : init),
    onError: (n) => { if (n === 1) publish('long', 42, 300); },
  });
  same('who was away for too long is told of the gap, and gets what is kept', seen.events.map(({ type, id }) => (type === 'gap' ? type : id)),
    [...numbers(2, 41), 'gap', ...numbers(201, 300)]);
}

async function post() {
  const words = ['Wer', 'rüttelt', 'am', '☃', 'so', 'spät'];
  const seen = await watch('/words?every=100', {
    count: words.length + 1,
    fetch: (url, init) => fetch(url, { ...init, method: 'POST', body: words.join(' ') }),
  });
  same('a POST whose words come back as events', seen.events.map(({ data }) => (data === '[DONE]' ? data : JSON.parse(data).token)), [...words, '[DONE]']);
}

async function main() {
  server = await startServer();
  await streams();
  await reconnection();
  await ends();
  await hub();
  await post();
  same('no handler failed', server.said.filter((it) => it.failed && it.failed !== 'cut, as asked'), []);
}

main()
  .catch((error) => check('every step comes to its end', false, error.stack))
  .finally(() => {
    server?.child.kill('SIGKILL');
    process.exit(failed);
  });
