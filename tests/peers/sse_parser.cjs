// Event streams, of the vectors and at random, to tidewire and to the package `eventsource-parser`, in
// pieces. A difference must have a reason in the table below, whose examples are tried first.
// SEED=N repeats the streams of a run.
const { spawnSync } = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { createParser } = require('eventsource-parser');

const SEED = Number(process.env.SEED || crypto.randomInt(2 ** 32));
const STREAMS = 20000;
const VECTORS = path.join(__dirname, '../../protocol/tests/vectors/sse_stream.json');
let failed = 0;

function check(name, ok, detail = '') {
  console.log(ok ? `ok    ${name}` : `FAIL  ${name}: ${detail.slice(0, 2000)}`);
  if (!ok) failed = 1;
}

/** Random numbers from a seed: a stream cipher over zeros. */
class Random {
  constructor(seed) {
    const key = crypto.createHash('sha256').update(String(seed)).digest();
    this.cipher = crypto.createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  }
  below(limit) { return Math.floor((this.cipher.update(Buffer.alloc(4)).readUInt32BE() / 2 ** 32) * limit); }
  of(list) { return list[this.below(list.length)]; }
}

// The differences that are meant to be. `shows`: whether a stream can show it; `without`: what is left of
// what either has told, and must be the same.
const REASONS = [
  {
    name: 'an id without data',
    // HTML, 9.2.6: dispatching sets the last event id, with or without data. It tells no id but with an event.
    example: 'id: 1\n\ndata: a\n\n',
    shows: (stream) => stream.includes('id'),
    without: (items) => items.map(({ id, ...rest }) => rest),
  },
  {
    name: 'a time beyond 64 bits',
    // HTML, 9.2.6: an integer of any length. Ours is at most the greatest of 64 bits, theirs a floating point number.
    example: 'retry: 99999999999999999999999999\n',
    shows: (stream) => /retry: ?[0-9]{20}/.test(stream.toString('latin1')),
    without: (items) => items.map((item) => (item.retry >= 2 ** 64 ? { retry: 'long' } : item)),
  },
  {
    name: 'the characters that a byte order mark looks like in Latin-1',
    // HTML, 9.2.6: only decoding strips a byte order mark. It strips these three behind decoding.
    example: '\u00ef\u00bb\u00bfdata: a\n\n',
    shows: (stream) => stream.toString().startsWith('\u00ef\u00bb\u00bf'),
    without: () => [],
  },
];

/** What the package makes of a stream, as its documentation wants it to be fed. */
function theirs(pieces) {
  const items = [];
  let last = '';
  // It strips a byte order mark itself, and two must not be stripped.
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const parser = createParser({
    onEvent({ id, event, data }) {
      last = id ?? last;
      items.push({ type: event || 'message', data, id: last });
    },
    onComment: (comment) => items.push({ comment }),
    onRetry: (retry) => items.push({ retry }),
  });
  for (const piece of pieces) parser.feed(decoder.decode(piece, { stream: true }));
  return items;
}

/** What tidewire makes of streams. */
function ours(streams) {
  const input = streams.map((pieces) => pieces.map((piece) => piece.toString('hex')).join(',')).join('\n');
  const program = path.join(process.env.PROGRAMS, 'sse-decode');
  const run = spawnSync(program, { input: `${input}\n`, maxBuffer: 2 ** 30, timeout: 60_000 });
  if (run.status !== 0) throw new Error(`sse-decode: ${run.error ?? run.stderr}`);
  const lines = run.stdout.toString().trimEnd().split('\n').map((line) => JSON.parse(line).items);
  if (lines.length !== streams.length) throw new Error(`${lines.length} lines for ${streams.length} streams`);
  // Both as numbers.
  return lines.map((items) => items.map((item) => ('retry' in item ? { retry: Number(item.retry) } : item)));
}

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** The reasons that together explain a difference; nothing if they don't. */
function explain(stream, a, b) {
  const used = [];
  for (const reason of REASONS) {
    if (same(a, b)) break;
    if (!reason.shows(stream)) continue;
    const [left, right] = [reason.without(a), reason.without(b)];
    if (same(left, a) && same(right, b)) continue;
    used.push(reason.name);
    [a, b] = [left, right];
  }
  return same(a, b) ? used : undefined;
}

function cut(stream, cuts) {
  const pieces = [];
  let from = 0;
  for (const to of [...cuts.sort((a, b) => a - b), stream.length]) {
    pieces.push(stream.subarray(from, to));
    from = to;
  }
  return pieces;
}

const everywhere = (stream) => cut(stream, Array.from({ length: Math.max(stream.length - 1, 0) }, (_, i) => i + 1));

/** Compares both on many streams, and tells how often which reason was needed. */
function compare(name, streams) {
  const counts = {};
  const unexplained = [];
  let items = 0;
  ours(streams).forEach((a, number) => {
    const pieces = streams[number];
    const b = theirs(pieces);
    items += a.length;
    if (same(a, b)) return;
    const stream = Buffer.concat(pieces);
    const reasons = explain(stream, a, b);
    for (const reason of reasons ?? []) counts[reason] = (counts[reason] ?? 0) + 1;
    if (!reasons) unexplained.push(`${JSON.stringify(stream.toString('latin1'))}\n  ours   ${JSON.stringify(a)}\n  theirs ${JSON.stringify(b)}`);
  });
  for (const [reason, count] of Object.entries(counts)) console.log(`      ${reason}: ${count}`);
  check(`${name}: ${streams.length} streams with ${items} items`, unexplained.length === 0 && items > 0, `${unexplained.length} unexplained\n${unexplained.slice(0, 3).join('\n')}`);
}

const NAMES = ['data', 'data', 'data', 'event', 'id', 'retry', '', 'Data', 'data ', ' data', 'x', '\ufeffdata'];
const SPACES = ['', ' ', ' ', '  ', '\t'];
const WORDS = ['', 'a', 'b', ':', ' ', '1', '1500', '+5', '007', '4294967296', '18446744073709551616', '\u0663', '\0', '\ufeff', '\u2028', '\u0085', 'ä', '€', '🦀', '{"k": 1}'];
const BAD = [[0x80], [0xc3], [0xe2, 0x82], [0xf0, 0x9f], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xff], [0xef, 0xbb]].map((bytes) => Buffer.from(bytes));
const ENDS = ['\n', '\n', '\r\n', '\r', '\n\r', '\r\r\n'];

function generate(random) {
  const parts = [];
  const end = random.of(ENDS);
  if (random.below(12) === 0) parts.push('\ufeff');
  for (let lines = random.below(12); lines > 0; lines--) {
    if (random.below(3) > 0) {
      parts.push(random.of(NAMES));
      if (random.below(10) > 0) parts.push(':', random.of(SPACES), random.of(WORDS), random.of(WORDS));
      if (random.below(12) === 0) parts.push(random.of(BAD));
    }
    parts.push(random.below(5) === 0 ? random.of(ENDS) : end);
    if (random.below(3) === 0) parts.push(end);
  }
  let stream = Buffer.concat(parts.map((part) => Buffer.from(part)));
  if (random.below(3) === 0) stream = stream.subarray(0, random.below(stream.length + 1));
  const cuts = Array.from({ length: random.below(6) }, () => random.below(stream.length + 1));
  return random.below(4) === 0 ? everywhere(stream) : cut(stream, cuts);
}

for (const { name, example } of REASONS) {
  const stream = Buffer.from(example);
  const [a] = ours([[stream]]);
  const b = theirs([stream]);
  check(`a reason shows: ${name}`, !same(a, b) && same(explain(stream, a, b), [name]), `${JSON.stringify(a)} ${JSON.stringify(b)}`);
}
// What a limit of ours refuses, and what began before the stream, is not for the package.
const vectors = JSON.parse(fs.readFileSync(VECTORS)).filter(({ limits, before }) => !limits && before === undefined);
const streams = vectors.map(({ bytes }) => Buffer.from(bytes, 'latin1'));
compare('the vectors, whole', streams.map((stream) => [stream]));
compare('the vectors, byte by byte', streams.map(everywhere));
const expected = vectors.map(({ gives = [] }) => gives.map(({ after, ...item }) => ('data' in item ? { type: item.type ?? 'message', data: item.data, id: item.id ?? '' } : item)));
check('the vectors give what they say', same(ours(streams.map((stream) => [stream])), expected));
const random = new Random(SEED);
compare(`at random, seed ${SEED}`, Array.from({ length: STREAMS }, () => generate(random)));
process.exit(failed);
