/** The section `api`. */
import { bytes, duration, flag, integer, port, text } from "./builders.ts";
import { group, type Values } from "./setting.ts";

export const apiSection = group("HTTP: questions to the archive, state, health and metrics.", {
  enabled: flag(true, "Whether the HTTP server runs."),
  host: text("127.0.0.1", "The address to listen on; 0.0.0.0 opens it to everybody.", {
    max: 253,
    pattern: /^[\w.:%-]+$/,
    allowed: "an IP address or host name",
  }),
  port: port(8080, "The port to listen on."),
  request_timeout: duration("10s", "How long one request may take.", {
    min: "100ms",
    max: "10m",
    limit: true,
  }),
  max_concurrent: integer(20, "Questions worked on at once; more are told to come back.", {
    min: 1,
    max: 10_000,
    limit: true,
  }),
  max_url_chars: integer(8_192, "The longest path and query of a request.", {
    min: 100,
    max: 65_536,
    limit: true,
  }),
  max_header_size: bytes("16KiB", "All headers of a request together.", {
    min: "1KiB",
    max: "256KiB",
  }),
  // No question gives more than 5,000 on a page (MAX_LIMIT in queries/query.ts).
  max_rows: integer(1_000, "Rows on one page of an answer.", { min: 1, max: 5_000, limit: true }),
  max_size: bytes("4MiB", "Bytes of the rows on one page.", { min: "4KiB", max: "64MiB" }),
  stream: group("Answers as NDJSON, which go on page after page.", {
    max_rows: integer(100_000, "Rows of one stream.", { min: 1, max: 100_000_000, limit: true }),
    max_size: bytes("64MiB", "Bytes of one stream.", { min: "4KiB", max: "100GiB" }),
    timeout: duration("1m", "How long one stream may take, however slowly it is read.", {
      min: "1s",
      max: "1d",
      limit: true,
    }),
    max_concurrent: integer(4, "Streams at once; more are told to come back.", {
      min: 1,
      max: 1_000,
      limit: true,
    }),
  }),
  rate_limit: group("How often one address may ask; IPv6 addresses count by their /64.", {
    requests: integer(600, "Requests in a window, all at once if need be; 0 for no limit.", {
      min: 0,
      max: 10_000_000,
      limit: true,
    }),
    window: duration("1m", "The window; what was used comes back evenly over it.", {
      min: "1s",
      max: "1d",
    }),
    max_addresses: integer(20_000, "Addresses remembered; the longest silent are forgotten.", {
      min: 100,
      max: 10_000_000,
      limit: true,
    }),
    forwarded_header: text(
      undefined,
      "Header in which a proxy on this machine tells the client's address, such as " +
        "X-Forwarded-For; its last address counts, and only when the proxy connects from loopback.",
      { max: 100, pattern: /^[\w-]+$/, allowed: "the name of a header" },
    ),
  }),
  max_age: duration("10s", "How long caches may keep an answer without asking again.", {
    min: "0s",
    max: "1d",
  }),
  compress_from: bytes("1KiB", "Answers of this size and more are sent with gzip.", {
    min: "0B",
    max: "1GiB",
  }),
  cors: flag(true, "Whether web pages from anywhere may read the answers."),
  // The whole process has 9.5 s for its end (main.ts).
  drain: duration("5s", "How long stopping waits for requests under way.", {
    min: "0s",
    max: "6s",
  }),
  stall: duration("10m", "A cycle that counts nothing for so long makes /ready say no.", {
    min: "10s",
    max: "7d",
  }),
  max_failures: integer(3, "So many failed cycles in a row make /ready say no.", {
    min: 1,
    max: 1000,
  }),
});

export type ApiConfig = Values<typeof apiSection.shape>;
