// A case a line in, a verdict a line out: the parser of Node.js (llhttp), as its http module uses it.
"use strict";
process.removeAllListeners("warning");
process.noDeprecation = true;
const { HTTPParser, allMethods } = process.binding("http_parser");
const readline = require("node:readline");

const LIMIT = 1 << 20;

const pairs = (list) => {
  const fields = [];
  for (let at = 0; at < list.length; at += 2) fields.push([list[at], list[at + 1]]);
  return fields;
};

function judge({ asked, bytes }) {
  const requests = asked.length === 0;
  const messages = [];
  const parser = new HTTPParser();
  parser.initialize(requests ? HTTPParser.REQUEST : HTTPParser.RESPONSE, {}, LIMIT, HTTPParser.kLenientNone);
  // Lines that node hands over before the head, or the trailer section, is complete.
  let early = [];
  let target = "";
  let stop = null;
  let answered = 0;
  parser[HTTPParser.kOnMessageBegin] = () => {
    // What node hands over with trailers repeats the target.
    target = "";
  };
  parser[HTTPParser.kOnHeaders] = (list, url) => {
    early.push(...list);
    target += url;
  };
  parser[HTTPParser.kOnHeadersComplete] = (major, minor, list, method, url, status, reason, upgrade, keepAlive) => {
    const message = {
      first: requests ? allMethods[method] : String(status),
      second: requests ? target + (url ?? "") : reason,
      minor: Math.min(minor, 1),
      fields: pairs([...early, ...(list ?? [])]),
      body: "",
      trailers: [],
      keep_alive: keepAlive,
      complete: false,
    };
    early = [];
    target = "";
    messages.push(message);
    if (requests) {
      // llhttp takes what follows for another protocol's.
      if (upgrade) stop = "unknown";
      return 0;
    }
    if (status < 200 && status !== 101) {
      message.keep_alive = null;
      return 1;
    }
    if (status === 101 || (asked[answered] === "CONNECT" && status < 300)) {
      message.keep_alive = null;
      message.complete = true;
      stop = "unknown";
      return 2;
    }
    if (asked[answered] !== "HEAD") return 0;
    // llhttp learns only now that there is no body, which could have lasted until the end.
    message.keep_alive = keepAlive || null;
    if (!keepAlive) stop = "unknown";
    return 1;
  };
  parser[HTTPParser.kOnBody] = (data, from, length) => {
    const piece = from === undefined ? data : data.subarray(from, from + length);
    messages.at(-1).body += piece.toString("latin1");
  };
  parser[HTTPParser.kOnMessageComplete] = () => {
    // What follows an upgrade is not looked at.
    if (requests && stop !== null) return;
    const message = messages.at(-1);
    message.complete = true;
    message.trailers = pairs(early);
    early = [];
    if (!requests && message.first >= "200") answered += 1;
    const last = requests ? message.keep_alive === false : answered === asked.length || message.keep_alive === false;
    if (last) stop ??= "complete";
  };

  // Byte by byte, so that it is known where a message ends.
  const data = Buffer.from(bytes, "latin1");
  const refused = (error) => ({ refused: { why: `${error.code}: ${error.reason}`, at: null } });
  let end = null;
  let at = 0;
  while (at < data.length && end === null) {
    const result = parser.execute(data.subarray(at, at + 1));
    at += 1;
    if (result instanceof Error) end = refused(result);
    else if (stop === "complete") end = { complete: { surplus: data.length - at } };
    else if (stop !== null) end = stop;
  }
  if (end === null) {
    const result = parser.finish();
    const unfinished = result instanceof Error && result.code === "HPE_INVALID_EOF_STATE";
    if (stop === null && (unfinished || answered < asked.length)) end = "incomplete";
    else if (result instanceof Error) end = refused(result);
    else end = { complete: { surplus: 0 } };
  }
  parser.close();
  return { messages, end };
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  process.stdout.write(JSON.stringify(judge(JSON.parse(line))) + "\n");
});
