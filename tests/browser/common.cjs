// What the scripts for the browser share: checks that print a line, our programs as processes, and
// a headless Chromium.
const { spawn } = require('node:child_process');
const http = require('node:http');
const path = require('node:path');
const readline = require('node:readline');
const { chromium } = require('playwright-core');

const runtime = process.argv[2] ?? 'smol';
const children = new Set();
let failed = 0;

function check(name, ok, detail = '') {
  console.log(ok ? `ok    ${name}` : `FAIL  ${name}: ${JSON.stringify(detail)?.slice(0, 600)}`);
  if (!ok) failed = 1;
}

function same(name, got, want) {
  check(name, JSON.stringify(got) === JSON.stringify(want), { got, want });
}

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** Starts a program from a folder of the environment; resolves to its process, its address and the
 * lines that it says, each with its time. */
function start(name, listen = '127.0.0.1:0', folder = 'EXAMPLES') {
  const child = spawn(path.join(process.env[folder], name), ['--runtime', runtime, '--listen', listen], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.add(child);
  const said = [];
  return new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`${name} did not start`)), 10_000).unref();
    child.on('exit', () => { children.delete(child); reject(new Error(`${name} ended`)); });
    const lines = readline.createInterface({ input: child.stdout });
    lines.once('line', (line) => {
      const match = /^listening on ((?:http|ws):\/\/127\.0\.0\.1:\d+)$/.exec(line);
      match ? resolve({ child, url: match[1], said }) : reject(new Error(`first line of ${name}: ${line}`));
      lines.on('line', (more) => said.push({ line: more, at: performance.now() }));
    });
  });
}

function stop(server) {
  return new Promise((resolve) => { server.child.on('exit', resolve); server.child.kill('SIGKILL'); });
}

/** Serves these pages, by path; resolves to their origin. */
async function servePages(page) {
  const server = http.createServer((request, response) => {
    const html = page(request.url);
    response.writeHead(html ? 200 : 404, { 'Content-Type': 'text/html; charset=utf-8' });
    response.end(html);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM,
    timeout: 30_000,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--no-proxy-server'],
  });
}

/** Runs the script; every child ends with it. */
function run(main) {
  main()
    .catch((error) => check('every step comes to its end', false, error.message))
    .finally(() => {
      children.forEach((child) => child.kill('SIGKILL'));
      process.exit(failed);
    });
}

module.exports = { check, same, sleep, start, stop, servePages, launch, run };
