/** Streams of JSON lines from the API: read as they come, and connected again when they end. */
import { jitteredBackoffMs } from "../../../common/backoff.ts";
import { err, ok, type Result } from "../../../common/result.ts";
import { send } from "./client.ts";
import type { ApiFailure } from "./endpoints.ts";
import type { CallOptions } from "./sign-in.ts";

/** A stream says something at least every 15 s. */
const SILENT_AFTER_MS = 45_000;
const RETRY = { firstMs: 500, maxMs: 30_000 };
const MAX_LINE_CHARS = 16 * 1024 * 1024;

/** What follows a stream. */
export interface StreamHandler<T> {
  /** A connection is there; what an earlier one said no longer counts. */
  onOpen(): void;
  onRecord(record: T): void;
  /** There is no connection. Another follows, unless the signal is aborted. */
  onDown(failure: ApiFailure): void;
}

/**
 * Follows a stream of JSON lines until the signal is aborted: connects, reads, and connects again, later and
 * later while it fails. Only the first connection may leave the page for a sign-in.
 *
 * @param first how the first connection is made
 */
export async function followLines<T>(
  path: string,
  handler: StreamHandler<T>,
  signal: AbortSignal,
  first: CallOptions = {},
): Promise<void> {
  let failures = 0;
  for (let connection = 0; !signal.aborted; connection++) {
    const ended = await readLines<T>(path, signal, connection === 0 ? first : { mayLeave: false }, {
      onOpen: () => {
        failures = 0;
        handler.onOpen();
      },
      onRecord: (record) => handler.onRecord(record),
    });
    if (signal.aborted) return;
    if (!ended.ok) {
      failures++;
      handler.onDown(ended.error);
    }
    await delay(jitteredBackoffMs(failures, RETRY, Math.random()), signal);
  }
}

/** Reads one connection. @returns ok where the stream ended by itself */
async function readLines<T>(
  path: string,
  signal: AbortSignal,
  options: CallOptions,
  { onOpen, onRecord }: Pick<StreamHandler<T>, "onOpen" | "onRecord">,
): Promise<Result<null, ApiFailure>> {
  const connection = new AbortController();
  const abort = () => connection.abort();
  signal.addEventListener("abort", abort);
  let watchdog: ReturnType<typeof setTimeout> | undefined;
  const keepAlive = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(abort, SILENT_AFTER_MS);
  };
  try {
    keepAlive();
    const init = { headers: { Accept: "application/jsonl" }, signal: connection.signal };
    const sent = await send(path, init, options);
    if (!sent.ok) return sent;
    onOpen();
    const text = sent.value.body?.pipeThrough(new TextDecoderStream());
    let rest = "";
    for await (const piece of text ?? []) {
      keepAlive();
      const lines = (rest + piece).split("\n");
      rest = lines.pop() ?? "";
      if (rest.length > MAX_LINE_CHARS) return err(BROKEN);
      for (const line of lines) if (line !== "") onRecord(JSON.parse(line) as T);
    }
    return ok(null);
  } catch {
    return err(BROKEN);
  } finally {
    clearTimeout(watchdog);
    signal.removeEventListener("abort", abort);
    abort();
  }
}

const BROKEN: ApiFailure = { code: "network", message: "The stream broke off: it is being connected again." };

function delay(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
