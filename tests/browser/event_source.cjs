// Chromium's EventSource, and its fetch, against `sse-test-server`.
const { check, launch, run, same, servePages, sleep, start } = require('./common.cjs');

let server;

/** What the server said of requests, or of streams that have ended, at `target`. */
function told(key, target) {
  return server.said.flatMap(({ line, at }) => {
    const value = line.startsWith('{') ? JSON.parse(line)[key] : undefined;
    if (value === undefined) return [];
    const whole = key === 'request' ? value : JSON.parse(line);
    return (whole.target ?? whole.ended) === target ? [{ ...whole, at }] : [];
  });
}

/** Waits until the server has said so many things of this kind. */
async function awaitTold(key, target, count, seconds = 3) {
  const end = performance.now() + seconds * 1000;
  while (told(key, target).length < count && performance.now() < end) await sleep(0.02);
  return told(key, target);
}

/** In the page: reads events until there are `count`, or the one with the id `until` has come, or the source is closed, or time is up. */
async function watch({ url, types = [], count = Infinity, until, seconds = 10, withCredentials = false }) {
  const source = new EventSource(url, { withCredentials });
  const seen = { events: [], opens: 0, errors: [] };
  await new Promise((resolve) => {
    const note = ({ type, data, lastEventId, origin }) => {
      seen.events.push({ type, data, id: lastEventId, origin, at: performance.now() });
      if (seen.events.length === count || lastEventId === until) resolve();
    };
    ['message', ...types].forEach((type) => source.addEventListener(type, note));
    source.onopen = () => { seen.opens += 1; seen.state = source.readyState; };
    source.onerror = () => {
      seen.errors.push(source.readyState);
      if (source.readyState === EventSource.CLOSED) resolve();
    };
    setTimeout(resolve, seconds * 1000);
  });
  seen.final = source.readyState;
  source.close();
  await new Promise((resolve) => setTimeout(resolve, 100)); // what the server has told is read now
  return seen;
}

const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, n) => String(from + n));
const asked = (target) => told('request', target).map((request) => request['Last-Event-ID'] ?? null);

async function streams(page) {
  let target = '/events?to=5&every=50&retry=50';
  let seen = await page.evaluate(watch, { url: target });
  same('events arrive with type, data, lastEventId and origin', seen.events.map(({ type, data, id, origin }) => [type, data, id, origin]),
    numbers(1, 5).map((n) => ['message', n, n, server.url]));
  same('an open stream is OPEN', seen.state, 1);
  same('it reconnects behind its end, and 204 closes it', [seen.opens, seen.errors, seen.final], [1, [0, 2], 2]);
  same('the second request names the last event', asked(target), [null, '5']);
  same('a request says what it wants', told('request', target).map((it) => [it.method, it.Accept, it['Cache-Control']]),
    [1, 2].map(() => ['GET', 'text/event-stream', 'no-cache']));
  await sleep(0.3);
  same('after 204 there is no other request', asked(target).length, 2);

  seen = await page.evaluate(watch, { url: '/formats', types: ['custom', 'Zeit/Überschrift'], count: 14 });
  same('everything that an event can have', seen.events.map(({ type, data, id }) => [type, data, id]), [
    ['message', 'plain', ''],
    ['message', 'two\nlines', ''],
    ['message', 'CR\nLF\nboth\nnone', ''],
    ['message', '', ''],
    ['message', ' leading and trailing ', ''],
    ['message', 'colons: and\n:more', ''],
    ['message', '{"text":"Grüße ☃ 𝄞"}', ''],
    ['message', 'a NUL \0 stays', 'with spaces'],
    ['custom', 'keeps the id', 'with spaces'],
    ['Zeit/Überschrift', 'other', 'é'],
    ['message', 'behind nothing', 'of nothing'],
    ['message', 'forgotten', ''],
    ['message', '\n', ''],
    ['message', 'last', 'end'],
  ]);

  seen = await page.evaluate(watch, { url: '/events?to=3&type=ping&retry=20', types: ['ping'] });
  same('a type of its own goes to its listeners alone', seen.events.map(({ type, data }) => [type, data]), numbers(1, 3).map((n) => ['ping', n]));

  seen = await page.evaluate(watch, { url: '/events?to=2&size=3000000&retry=20', seconds: 20 });
  check('events of 3 MB', seen.events.length === 2 && seen.events.every(({ data }, n) => data === `${n + 1}${'x'.repeat(3e6)}`),
    seen.events.map(({ data }) => data.length));
}

async function reconnection(page) {
  let target = '/events?to=1000&cut=400&size=300&retry=20';
  let seen = await page.evaluate(watch, { url: target, seconds: 30 });
  same('1,000 events through two cuts, none lost or twice, in order', seen.events.map(({ id }) => id), numbers(1, 1000));
  check('with all of their data', seen.events.every(({ id, data }) => data === id + 'x'.repeat(300)));
  // What had not reached the page when the connection was cut may be lost, and is asked for again.
  const ids = asked(target).map(Number);
  check('each request says where to go on', asked(target)[0] === null && ids.length >= 4 && ids.at(-1) === 1000 &&
    ids.every((id, n) => n === 0 || (id >= ids[n - 1] && id - ids[n - 1] <= 400)), ids);
  same('each cut is an error that it reconnects from', [seen.opens, seen.errors], [ids.length - 1, [...ids.slice(1).map(() => 0), 2]]);

  target = '/events?to=1000&retry=20';
  seen = await page.evaluate(watch, { url: target, seconds: 30 });
  same('1,000 events in one go', seen.events.map(({ id }) => id), numbers(1, 1000));

  target = '/events?to=4&end=1&retry=700';
  seen = await page.evaluate(watch, { url: target });
  same('a stream that ends after each event', seen.events.map(({ id }) => id), numbers(1, 4));
  const ends = told('ended', target);
  const waits = told('request', target).slice(1).map(({ at }, n) => at - ends[n].at);
  check('`retry: 700` is how long it waits', waits.length === 4 && waits.every((wait) => wait > 650 && wait < 1700), waits);

  target = '/events?to=4&end=2&utf8&retry=20';
  seen = await page.evaluate(watch, { url: target });
  same('ids beyond ASCII', seen.events.map(({ id }) => id), numbers(1, 4).map((n) => `Grüße ☃ 𝄞 ${n}`));
  same('come back as UTF-8', asked(target), [null, 'Grüße ☃ 𝄞 2', 'Grüße ☃ 𝄞 4']);
}

async function ends(page) {
  for (const target of ['/status/204', '/status/500', '/status/404', '/as/text/plain', '/as/application/json']) {
    const seen = await page.evaluate(watch, { url: target, seconds: 5 });
    same(`${target} closes it for good`, [seen.opens, seen.errors, seen.final, seen.events.length], [0, [2], 2, 0]);
  }
  for (const status of [301, 302, 303, 307, 308]) {
    const target = `/events?to=2&retry=20&by=${status}`;
    const seen = await page.evaluate(watch, { url: `/redirect/${status}?${target}` });
    same(`a redirect by ${status}`, seen.events.map(({ id }) => id), ['1', '2']);
  }

  let target = '/events?every=20';
  await page.evaluate(watch, { url: target, count: 3 });
  const now = performance.now() - 100;
  let [end] = await awaitTold('ended', target, 1);
  check('close() is noticed by the server within a second', end?.how === 'left' && end.at - now < 1000, end);

  target = '/silent';
  await page.evaluate((url) => new Promise((resolve) => { new EventSource(url).onopen = resolve; }), target);
  await page.goto(`${server.url}/page`);
  [end] = await awaitTold('ended', target, 1);
  check('so is a page that goes elsewhere, without a word on the stream', end?.how === 'left', end);
}

async function origins(page, elsewhere) {
  await page.goto(`${elsewhere}/`);
  const url = (target) => server.url + target;
  await page.evaluate((at) => fetch(at, { credentials: 'include' }).then(({ status }) => status), url('/status/200?cookie=flavour=oat'));
  let target = '/events?to=4&end=2&retry=20&with';
  let seen = await page.evaluate(watch, { url: url(target), withCredentials: true });
  same('another origin, with credentials', seen.events.map(({ id, origin }) => [id, origin]), numbers(1, 4).map((n) => [n, server.url]));
  same('sends its cookies, and the last id', told('request', target).map((it) => [it.method, it.Cookie, it['Last-Event-ID'] ?? null]),
    [null, '2', '4'].map((id) => ['GET', 'flavour=oat', id]));
  target = '/events?to=2&retry=20&without';
  seen = await page.evaluate(watch, { url: url(target) });
  same('without credentials', [seen.events.length, told('request', target).map((it) => it.Cookie ?? null)], [2, [null, null]]);
  target = '/events?to=2&retry=20&cors=any';
  seen = await page.evaluate(watch, { url: url(target) });
  same('any origin', seen.events.length, 2);
  for (const [why, cors, withCredentials] of [['to any origin, with credentials', 'any', true], ['to no origin', 'none', false]]) {
    seen = await page.evaluate(watch, { url: url(`/events?to=2&cors=${cors}&refused`), withCredentials });
    same(`an answer ${why} is not for it`, [seen.opens, seen.errors, seen.events.length], [0, [2], 0]);
  }
}

async function hub(page) {
  const post = (query, method = 'POST') => page.evaluate(([at, how]) => fetch(at, { method: how }).then((it) => it.json()), [query, method]);
  await post('/hub/tabs?from=1&to=5');
  const watching = page.evaluate(watch, { url: '/hub/tabs', count: 500 });
  const end = performance.now() + 3000;
  while ((await post('/topic/tabs', 'GET')).subscribers < 1 && performance.now() < end) await sleep(0.02);
  for (let from = 6; from <= 505; from += 50) await post(`/hub/tabs?from=${from}&to=${from + 49}`);
  let seen = await watching;
  same('a topic: 500 events, from when it subscribed', seen.events.map(({ id }) => id), numbers(6, 505));

  // Each stream ends after 40 events, so that it comes back 24 times for what is kept.
  const slowly = page.evaluate(watch, { url: '/hub/short?end=40', count: 1000, seconds: 20 });
  while ((await post('/topic/short', 'GET')).subscribers < 1 && performance.now() < end + 3000) await sleep(0.02);
  for (let from = 1; from <= 1000; from += 20) {
    // A hundred are kept.
    while (from + 19 > Number(asked('/hub/short?end=40').at(-1)) + 100 && performance.now() < end + 20_000) await sleep(0.005);
    await post(`/hub/short?from=${from}&to=${from + 19}`);
  }
  seen = await slowly;
  same('a topic: 1,000 events through replays, none lost or twice', seen.events.map(({ id }) => id), numbers(1, 1000));
  check('    for each of which it said where to go on', asked('/hub/short?end=40').length >= 25 &&
    asked('/hub/short?end=40').every((id, n) => id === (n ? String(n * 40) : null)), asked('/hub/short?end=40'));

  const away = page.evaluate(watch, { url: '/hub/away?end=40', types: ['gap'], until: '300' });
  while ((await post('/topic/away', 'GET')).subscribers < 1 && performance.now() < end + 30_000) await sleep(0.02);
  await post('/hub/away?from=1&to=300');
  seen = await away;
  const ids = seen.events.map(({ type, id }) => (type === 'gap' ? type : Number(id)));
  check('a topic: who was away for too long is told of the gap', ids.includes('gap') && ids.at(-1) === 300 &&
    ids.filter((id) => id !== 'gap').every((id, n, all) => n === 0 || id > all[n - 1]), ids);
}

/** In the page: a POST whose response is read while it comes. */
async function post({ url, words, abortAfter }) {
  const abort = new AbortController();
  const response = await fetch(url, {
    method: 'POST',
    body: words.join(' '),
    headers: { Accept: 'text/event-stream', 'X-Model': 'echo' },
    signal: abort.signal,
  });
  const seen = { status: response.status, type: response.headers.get('content-type'), events: [] };
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      text += value;
      const blocks = text.split('\n\n');
      text = blocks.pop();
      blocks.forEach((block) => seen.events.push({ block, at: performance.now() }));
      if (seen.events.length === abortAfter) abort.abort();
    }
  } catch (error) {
    seen.error = error.name;
  }
  seen.rest = text;
  return seen;
}

async function fetchStreaming(page, where, base) {
  const words = ['Wer', 'rüttelt', 'am', '☃', 'so', 'spät'];
  const every = 200;
  const target = `/words?every=${every}&from=${where}`;
  let seen = await page.evaluate(post, { url: base + target, words });
  same(`fetch of a POST, ${where}: a token an event`, [seen.status, seen.type, seen.rest, seen.events.map(({ block }) => block)],
    [200, 'text/event-stream', '', [...words.map((token) => `data: ${JSON.stringify({ token })}`), 'data: [DONE]']]);
  const gaps = words.slice(1).map((_, n) => Math.round(seen.events[n + 1]?.at - seen.events[n]?.at));
  check('    which come one by one', gaps.every((gap) => gap > every / 2 && gap < every * 2), gaps);
  same('    behind a preflight or none', told('request', target).map(({ method }) => method),
    where === 'elsewhere' ? ['OPTIONS', 'POST'] : ['POST']);
  const again = `${target}&abort`;
  seen = await page.evaluate(post, { url: base + again, words, abortAfter: 2 });
  const now = performance.now();
  const [end] = await awaitTold('ended', again, 1);
  check('    an abort is noticed by the server', seen.error === 'AbortError' && end?.how === 'left' && end.at - now < 1000, [seen, end]);
}

run(async () => {
  server = await start('sse-test-server', '127.0.0.1:0', 'PROGRAMS');
  const pages = await servePages(() => '<!doctype html><title>elsewhere</title>');
  const browser = await launch();
  try {
    const page = await browser.newPage();
    await page.goto(`${server.url}/page`);
    await streams(page);
    await reconnection(page);
    await ends(page);
    await hub(page);
    await fetchStreaming(page, 'home', '');
    await origins(page, pages.url);
    await fetchStreaming(page, 'elsewhere', server.url);
    const failures = server.said.filter(({ line }) => line.includes('"failed"') && !line.includes('cut, as asked'));
    same('no handler failed', failures, []);
  } finally {
    await browser.close();
    pages.close();
  }
});
