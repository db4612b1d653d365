//! What is refused, and why.
//!
//! Parsers of HTTP, WebSocket and event streams have a long history of the same few mistakes. Each
//! row names one, and what stops it here.
//!
//! # HTTP/1.1
//!
//! | mistake | what it leads to | here |
//! |---|---|---|
//! | `Content-Length` together with `Transfer-Encoding` | two parties see different ends of a request: smuggling | refused (RFC 9112, 6.1) |
//! | several `Content-Length`, one of them believed | the same | refused if they differ (6.3) |
//! | signs, `0x`, underscores or overflow in a length or chunk size | the same | digits only, checked arithmetic |
//! | a bare CR or LF ends a line | the same | refused |
//! | white space before the colon | a field that a proxy ignores and the server obeys | refused (5.1) |
//! | line folding | the same | refused (5.2) |
//! | no `Host`, or two | requests for the wrong site | refused (3.2) |
//! | `Host` believed where the target names another host | the same | `RequestHead::authority` is that of the target (3.2.2) |
//! | CR or LF in an outgoing field | response splitting | a typed error before anything is written |
//! | a limit checked after buffering | memory exhausted | limits come first |
//! | pipelined requests answered for a client that reads nothing | memory exhausted with answers | the next request waits for room |
//! | searching the end of the head from its start at each read | quadratic time for a peer that trickles | the search goes on where it was |
//!
//! The repository's `protocol/tests/vectors` goes through the standards paragraph by paragraph: hundreds
//! of messages with what must, may and must not be taken, as JSON for other implementations too.
//!
//! Where the standard leaves the choice, a message that two readers could take differently is refused:
//! both lengths at once, a bare LF, control bytes in values, folded lines. A client may put up with some
//! of it, flag by flag ([`Leniency`](crate::http::Leniency)); by default it also refuses folded lines,
//! which the standard would have a user agent unfold (RFC 9112, 5.2), and on both sides an empty member
//! in `Transfer-Encoding` (RFC 9110, 5.6.1.2 would have it ignored).
//!
//! Some things are taken on purpose: the bytes `" < > [ \ ] ^ { | }`, the backtick and a lone `%` in a
//! target, since browsers send them and none of them ends it; equal `Content-Length`s in other digits;
//! whitespace around a chunk's extensions; and one empty line before a request (RFC 9112, 2.2).
//!
//! # WebSocket
//!
//! | mistake | what it leads to | here |
//! |---|---|---|
//! | `Sec-WebSocket-Accept` unchecked | any server that says 101 is believed | compared (RFC 6455, 4.1) |
//! | `Connection: keep-alive, Upgrade` refused | no connection through some proxies | read as a list of tokens |
//! | masking keys from a fast generator | proxies can be poisoned (10.3) | `ChaCha20`, a new key for each frame |
//! | text validated frame by frame | characters on a frame boundary refused, or invalid text lent | validated over boundaries, failing at the first bad byte |
//! | frames without a mask accepted by a server | see 10.3 | close code 1002 |
//! | memory reserved for what a header announces | 14 bytes cost gigabytes | the limit is checked at the header, memory grows as bytes come |
//! | a pong queued for every ping | a flood of pings grows the queue | only the latest waits (5.5.3) |
//! | state in the receive future | dropping the future loses bytes | state is in the machine and its buffers |
//! | equal frames taken for repeated ones | fragments of two messages mixed | each message ends with its own FIN |
//! | a deadline for a pong that waits behind a long queue | a slow peer taken for a dead one | what leaves ahead of the ping puts the deadline off |
//! | a message of unknown size buffered to be sent | memory, and latency | sent in fragments as it is made (5.4) |
//!
//! A peer that cannot be mended may be let to do one thing or another:
//! [`Leniency`](crate::ws::Leniency), one flag for each, none by default.
//!
//! ## Compression
//!
//! | mistake | what it leads to | here |
//! |---|---|---|
//! | a limit on the compressed size alone | kilobytes that inflate to gigabytes | [`Config::max_message`](crate::ws::Config::max_message) is met while inflating |
//! | a message sent plain put into the window | every later message is garbage | the window knows compressed messages only (RFC 7692, 7.2.1) |
//! | a final block taken for the end of the message or of the stream | the rest is lost | inflating begins anew behind it, with the same window (7.2.3.4) |
//! | RSV1 taken on continuations or control frames | what is no compressed message is inflated | close code 1002 (6.1) |
//! | a parameter that was not offered agreed to | windows of two sizes | the handshake fails (7.1) |
//! | windows kept for idle connections | some 350 KB for each | given back, but for what the peer may refer to: `Connection::shrink` |
//!
//! # Event streams
//!
//! | mistake | what it leads to | here |
//! |---|---|---|
//! | CR LF over two reads taken as two line ends | an empty line, and half an event dispatched | one line end |
//! | a byte order mark taken as text | the first field is not understood | skipped, once |
//! | a line searched from its start at each read | quadratic time | the search goes on where it was |
//! | a line break in an id or event name | fields injected into the stream | a typed error |
//! | an empty `data` field dropped, or `retry` read in seconds | events lost; waits a thousand times too short or long | as 9.2.6 says |
//! | heartbeats on a clock of their own | a comment in front of each event, and one on top of another for who doesn't read | only after silence of ours, and never onto bytes that wait ([`sse::Stream`](crate::sse::Stream)) |
//! | the id of a client that comes back looked for, not found, and passed over | a gap that nobody knows of | [`sse::Since::Gap`](crate::sse::Since::Gap) |
//! | a queue for each subscriber | memory for every slow one, and events cut off in the midst | one log, in which each has its place, and whole events ([`sse::Topic`](crate::sse::Topic)) |
//! | the wait between attempts reset by any response | a server that fails after its head is hammered | reset by an event or a stable time only |
//! | jitter that cuts the server's `retry` short | a server is asked sooner than it said | chance only makes that wait longer ([`sse::SourceConfig::reconnect`](crate::sse::SourceConfig::reconnect)) |
