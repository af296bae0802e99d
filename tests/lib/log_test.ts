import assert from "node:assert/strict";
import { configureLogging, logger, type LoggingOptions } from "../../src/lib/log.ts";
import { Secret } from "../../src/lib/secret.ts";

const NSEC = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5";

/** The lines that `work` logs under the given options. */
async function linesOf(options: Partial<LoggingOptions>, work: () => void): Promise<string[]> {
  const lines: string[] = [];
  await using _logging = await configureLogging({
    level: "info",
    format: "text",
    write: (line) => lines.push(line),
    ...options,
  });
  work();
  return lines;
}

Deno.test("a text line tells time, level, stage, message and the values beside it", async () => {
  const lines = await linesOf({}, () => {
    logger("monitor").info("Checked {relay}", {
      relay: "wss://a.example/",
      state: "online",
      ms: 12,
    });
  });
  assert.equal(lines.length, 1);
  assert.match(
    lines[0] ?? "",
    /^\d{4}-\d\d-\d\dT\S+Z INFO {4}monitor: Checked wss:\/\/a\.example\/ state=online ms=12$/,
  );
});

Deno.test("a JSON line is one object, whose own fields no value can take over", async () => {
  const lines = await linesOf({ format: "json" }, () => {
    logger("monitor", "dial").warn("Refused {reason}", {
      reason: "timeout",
      level: "mine",
      time: 5,
      nested: { a: [1, null, undefined] },
    });
  });
  const line: Record<string, unknown> = JSON.parse(lines[0] ?? "");
  assert.equal(line["level"], "warning");
  assert.equal(line["logger"], "monitor.dial");
  assert.equal(line["message"], "Refused timeout");
  assert.equal(line["reason"], "timeout");
  assert.equal(line["field_level"], "mine");
  assert.equal(line["field_time"], 5);
  assert.deepEqual(line["nested"], { a: [1, null, null] });
});

Deno.test("no secret comes through, in either format, wherever it stands", async () => {
  for (const format of ["text", "json"] as const) {
    const lines = await linesOf({ format }, () => {
      const log = logger("store");
      log.info("Opening {database_url} with {secret}", {
        database_url: "postgres://bob:sesame@db/x",
        secret: new Secret("sesame"),
        private_key: "sesame",
        deep: { list: [{ password: "sesame" }] },
      });
      log.info("Interpolated {password} and {url}", {
        password: "sesame",
        url: "postgres://bob:sesame@db/x",
      });
      log.info(`In the message itself: ${NSEC} postgres://bob:sesame@db/x`);
      log.info`Tagged ${new Secret("sesame")} and ${NSEC}`;
      log.error("Failed", { error: new Error("postgres://bob:sesame@db/x", { cause: NSEC }) });
    });
    assert.equal(lines.length, 5);
    for (const line of lines) assert.doesNotMatch(line, /sesame|vl029/);
  }
});

Deno.test("one event is one line, whatever strangers put into it", async () => {
  for (const format of ["text", "json"] as const) {
    const lines = await linesOf({ format }, () => {
      logger("monitor").info("Notice {text}", {
        text: "a\nINFO forged: line\r\u2028\x1b[2J",
        ["key\nwith break"]: "v\nw",
      });
    });
    assert.equal(lines.length, 1);
    assert.doesNotMatch(lines[0] ?? "", /[\p{Cc}\p{Zl}]/u);
  }
});

Deno.test("long strings, wide lists and deep objects are cut", async () => {
  let deep: unknown = "bottom";
  for (let i = 0; i < 1000; i++) deep = { deep };
  for (const format of ["text", "json"] as const) {
    const lines = await linesOf({ format, maxText: 100 }, () => {
      logger("monitor").info("Got {text}", {
        text: "x".repeat(1_000_000),
        list: Array.from({ length: 10_000 }, () => "y".repeat(1000)),
        deep,
      });
    });
    assert.ok((lines[0] ?? "").length < 3_000, `${lines[0]?.length}`);
  }
});

Deno.test("each stage has its own level, below or above the general one", async () => {
  const lines = await linesOf(
    { level: "info", levels: { monitor: "debug", finder: "error" } },
    () => {
      logger("monitor").debug("heard");
      logger("monitor").info("heard once");
      logger("monitor", "dial").debug("heard too");
      logger("seeder").debug("not heard");
      logger("finder").warn("not heard");
    },
  );
  assert.deepEqual(lines.map((line) => line.replace(/^.*: /, "")), [
    "heard",
    "heard once",
    "heard too",
  ]);
});

Deno.test("logging can be set up again, and is silent once it is disposed of", async () => {
  const first = await linesOf({}, () => logger("a").info("one"));
  const second = await linesOf({}, () => logger("a").info("two"));
  logger("a").info("three");
  assert.equal(first.length, 1);
  assert.equal(second.length, 1);
});
