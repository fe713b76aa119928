import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { ok } from "../../common/result.ts";
import { type RecordingBlock, type RecordingPolicy, recordingKey } from "../../contract/recording.ts";
import { decodeMessage } from "../../durable/protocols/framing.ts";
import { KINDS_OF_SESSIONS } from "../../durable/protocols/kinds.ts";
import type { CastMetadata } from "../../durable/recording/cast-lines.ts";
import type { LiveRecording } from "../../durable/recording/live-recording.ts";
import { CHUNK_BYTES, FLUSH_MS, PART_BYTES } from "../../durable/recording/policy.ts";
import { Recordings } from "../../durable/recording/recordings.ts";
import { Spool } from "../../durable/recording/spool.ts";
import { ChannelTap, type CreateTap } from "../../durable/recording/tap.ts";
import { streamRecording } from "../../worker/api/stream-recording.ts";
import { frame } from "./client.ts";

/** What the API would answer, with a spool that always answers. Undefined: there is no recording. */
async function stream(bucket: R2Bucket, id: string, read: (offset: number) => Promise<RecordingBlock | null>) {
  const streamed = await streamRecording(bucket, id, async (offset) => ok(await read(offset)));
  if (streamed.ok) return streamed.value;
  if (streamed.error.code === "not_found") return undefined;
  throw new Error(streamed.error.code);
}

const NOW = Date.UTC(2026, 10, 22, 10, 0, 0);
const POLICY: RecordingPolicy = { mode: "output", onFailure: "continue", onFull: "continue", maxBytes: 1 << 30 };
// Megabytes go through a real bucket, and the machine may be busy.
vi.setConfig({ testTimeout: 30_000 });
const SECRET = "hunter2-on-the-screen";

/** Runs with one object's SQLite. Each `live()` is a new life of the object, which knows nothing else. */
function inObject(work: (object: TestObject) => Promise<void>): Promise<void> {
  const stub = env.USER_SESSIONS.getByName(crypto.randomUUID());
  return runInDurableObject(stub, (_, { storage }) => work(new TestObject(storage.sql)));
}

class TestObject {
  readonly sql: SqlStorage;
  isBusy = false;

  constructor(sql: SqlStorage) {
    this.sql = sql;
  }

  live(bucket: R2Bucket = env.RECORDINGS, maxSpoolBytes?: number, sql = this.sql): Recordings {
    return new Recordings(sql, bucket, () => {}, {
      isBusy: () => this.isBusy,
      ...(maxSpoolBytes !== undefined && { maxSpoolBytes }),
    });
  }

  get spooled(): number {
    return this.sql.exec<{ n: number }>("SELECT coalesce(sum(length(bytes)), 0) AS n FROM recording_chunks").one().n;
  }

  get rows(): number {
    return this.sql.exec<{ n: number }>("SELECT count(*) AS n FROM recordings").one().n;
  }
}

const FRAMING = KINDS_OF_SESSIONS.exec.framing("v5.channel.k8s.io");
const createTap: CreateTap = (writer, withInput) => new ChannelTap(writer, withInput);

function begin(
  recordings: Recordings,
  policy: Partial<RecordingPolicy> = {},
  onMustEnd: (outcome: string) => void = () => {},
) {
  const metadata: CastMetadata = {
    sessionId: crypto.randomUUID(),
    user: "josé@example.com",
    cluster: "prod",
    kind: "exec",
    namespace: "demo",
    pod: "shell",
    container: null,
    command: ["sh"],
    tty: true,
  };
  const parts = { metadata, policy: { ...POLICY, ...policy }, createTap, onMustEnd };
  return { id: metadata.sessionId, recording: recordings.begin(parts, NOW) };
}

const print = (recording: LiveRecording, text: string, now = NOW) =>
  recording.fromUpstream(decodeMessage(FRAMING, frame(1, text)), now);

/** Sends so much output in whole lines, in messages as a cluster sends them. @returns the text */
function printMuch(recording: LiveRecording, mebibytes: number, from = 0): string {
  let all = "";
  for (let i = 0; i < mebibytes * 32; i++) {
    const text = `${String(from + i).padStart(6, "0")} ${"x".repeat(32 * 1024 - 8)}\n`;
    print(recording, text, NOW + (from + i) * 40);
    all += text;
  }
  return all;
}

function parse(text: string) {
  expect(text.endsWith("\n")).toBe(true);
  const [header, ...events] = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  return { header, events: events as [number, string, string][] };
}

const shown = ({ events }: ReturnType<typeof parse>) =>
  events.flatMap(([, code, data]) => (code === "o" ? [data] : [])).join("");

async function castOf(response: Response | undefined) {
  return parse(new TextDecoder().decode(await response?.arrayBuffer()));
}

async function inR2(id: string) {
  const object = await env.RECORDINGS.get(recordingKey(id));
  return object && parse(new TextDecoder().decode(await object.arrayBuffer()));
}

/** The real bucket with faults. */
function bucketWith(
  faults: Partial<Record<"put" | "head" | "createMultipartUpload" | "uploadPart" | "complete", Fault>>,
): R2Bucket {
  const real = env.RECORDINGS;
  const wrap = <A extends unknown[], R>(name: keyof typeof faults, call: (...args: A) => Promise<R>) => {
    return async (...args: A): Promise<R> => (faults[name] ? faults[name](() => call(...args)) : call(...args));
  };
  const upload = (it: R2MultipartUpload) => ({
    uploadId: it.uploadId,
    uploadPart: wrap("uploadPart", it.uploadPart.bind(it)),
    complete: wrap("complete", it.complete.bind(it)),
  });
  return {
    get: real.get.bind(real),
    head: wrap("head", real.head.bind(real)),
    put: wrap("put", real.put.bind(real) as R2Bucket["put"] as () => Promise<R2Object>),
    createMultipartUpload: wrap("createMultipartUpload", real.createMultipartUpload.bind(real)),
    resumeMultipartUpload: (key: string, uploadId: string) => upload(real.resumeMultipartUpload(key, uploadId)),
  } as unknown as R2Bucket;
}

type Fault = <R>(call: () => Promise<R>) => Promise<R>;

const down: Fault = () => Promise.reject(new Error("internal error; please try again (10001)"));

/** R2 carries out the first call, but its answer is lost. */
function answerLost(): Fault {
  let first = true;
  return async (call) => {
    const answer = await call();
    if (!first) return answer;
    first = false;
    throw new Error("network connection lost");
  };
}

const logged: string[] = [];
beforeEach(() => {
  logged.length = 0;
  vi.spyOn(console, "error").mockImplementation((...line) => void logged.push(line.join(" ")));
});
afterEach(() => {
  vi.restoreAllMocks();
  expect(logged.join("\n")).not.toContain(SECRET);
});

describe("the upload to R2", () => {
  it("puts a small recording as one object, and leaves nothing behind", () =>
    inObject(async (object) => {
      const recordings = object.live();
      const { id, recording } = begin(recordings);
      print(recording, "hello", NOW + 1_000);
      const summary = recordings.end(id, "exit code 0", NOW + 2_500);
      await recordings.upload();
      const found = await env.RECORDINGS.head(recordingKey(id));
      expect(found?.size).toBe(summary?.bytes);
      expect(summary).toEqual({ state: "complete", bytes: expect.any(Number), reason: null });
      expect(found?.httpMetadata?.contentType).toBe("application/x-asciicast");
      expect(found?.customMetadata).toMatchObject({
        session: id,
        user: "josé@example.com",
        cluster: "prod",
        started: "2026-11-22T10:00:00.000Z",
      });
      expect(await inR2(id)).toMatchObject({
        header: { version: 2, timestamp: NOW / 1000 + 1 },
        events: [
          [0, "o", "hello"],
          [1.5, "m", "exit code 0"],
        ],
      });
      expect([object.rows, object.spooled, recordings.hasWaiting]).toEqual([0, 0, false]);
    }));

  it("needs no more memory for a small recording than its size", () =>
    inObject(async (object) => {
      const recordings = object.live();
      const { id, recording } = begin(recordings);
      print(recording, "$ ls");
      const summary = recordings.end(id, "exit code 0", NOW);
      const spool = new Spool(object.sql);
      const spooled = spool.find(id);
      const part = spooled && spool.bytes(spooled, 0, PART_BYTES);
      expect(part?.length).toBe(summary?.bytes);
      expect(part?.buffer.byteLength).toBe(summary?.bytes);
    }));

  it("sends a large recording in parts while the session goes on, so that the object holds little", () =>
    inObject(async (object) => {
      const recordings = object.live();
      const { id, recording } = begin(recordings);
      let output = "";
      for (let i = 0; i < 4; i++) {
        output += printMuch(recording, 3, i * 96);
        await recordings.upload();
        expect(object.spooled).toBeLessThan(PART_BYTES);
      }
      recordings.end(id, "exit code 0", NOW + 60_000);
      await recordings.upload();
      const cast = await inR2(id);
      expect(cast && shown(cast) === output).toBe(true);
      expect(cast?.events.at(-1)).toEqual([60, "m", "exit code 0"]);
      expect([object.rows, object.spooled]).toEqual([0, 0]);
    }));

  it("waits while the object relays a burst, and continues afterwards", () =>
    inObject(async (object) => {
      const recordings = object.live();
      const { id, recording } = begin(recordings);
      object.isBusy = true;
      const output = printMuch(recording, 7);
      expect(recordings.isDue).toBe(false);
      await recordings.upload();
      expect(object.spooled).toBeGreaterThan(PART_BYTES);
      object.isBusy = false;
      expect(recordings.isDue).toBe(true);
      await recordings.upload();
      expect(object.spooled).toBeLessThan(PART_BYTES);
      expect(recordings.isDue).toBe(false);
      recordings.end(id, "exit code 0", NOW + 60_000);
      await recordings.upload();
      const cast = await inR2(id);
      expect(cast && shown(cast) === output).toBe(true);
    }));

  it("no longer waits once a quarter of the spool is full", () =>
    inObject(async (object) => {
      const recordings = object.live(env.RECORDINGS, 4 * PART_BYTES);
      const { recording } = begin(recordings);
      object.isBusy = true;
      printMuch(recording, 4);
      expect(recordings.isDue).toBe(false);
      printMuch(recording, 3, 4 * 96);
      expect(recordings.isDue).toBe(true);
      await recordings.upload();
      expect(object.spooled).toBeLessThan(PART_BYTES);
    }));

  it("has the last output in SQLite within a second", () =>
    inObject(async (object) => {
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
      onTestFinished(() => void vi.useRealTimers());
      const { recording } = begin(object.live());
      print(recording, "last output", Date.now());
      expect(object.spooled).toBe(0);
      vi.advanceTimersByTime(1_000);
      expect(object.spooled).toBeGreaterThan(0);
    }));

  it("… also where timers are late, as on a busy machine, with the next that crosses", () =>
    inObject(async (object) => {
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
      onTestFinished(() => void vi.useRealTimers());
      const { recording } = begin(object.live());
      print(recording, "one", NOW);
      print(recording, "two", NOW + FLUSH_MS - 1);
      expect(object.spooled).toBe(0);
      print(recording, "three", NOW + FLUSH_MS);
      const first = object.spooled;
      expect(first).toBeGreaterThan(0);
      // Each waits as long as the first did: no message has a write of its own.
      print(recording, "four", NOW + 2 * FLUSH_MS - 1);
      print(recording, "five", NOW + 3 * FLUSH_MS - 2);
      expect(object.spooled).toBe(first);
      print(recording, "six", NOW + 3 * FLUSH_MS - 1);
      expect(object.spooled).toBeGreaterThan(first);
    }));
});

it("looking at what is not stored yet stores nothing, however late the timers are", () =>
  inObject(async (object) => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const { recording } = begin(object.live());
    print(recording, "one", NOW);
    recording.flush(NOW);
    print(recording, "two", NOW + 1);
    const look = (now: number) => [recording.bytesStored, recording.unstoredLines(now).length];
    const [stored, unstored] = look(NOW + 2);
    expect(unstored).toBeGreaterThan(0);
    // A watcher is told of each byte once: those in the spool, and these.
    expect(look(NOW + 10 * FLUSH_MS)).toEqual([stored, unstored]);
    expect([recording.bytesStored, object.spooled]).toEqual([stored, stored]);
  }));

describe("places in the spool", () => {
  const numbers = (object: TestObject) =>
    object.sql
      .exec<{ n: number }>("SELECT recording_number AS n FROM recordings ORDER BY n")
      .toArray()
      .map(({ n }) => n);

  it("are used again, so that recordings that always overlap never run out of them", () =>
    inObject(async (object) => {
      const recordings = object.live();
      let last = begin(recordings);
      for (let i = 0; i < 20; i++) {
        const next = begin(recordings);
        print(next.recording, `session ${i}`);
        recordings.end(last.id, "exit code 0", NOW);
        await recordings.upload();
        last = next;
      }
      expect(numbers(object)).toEqual([expect.toBeOneOf([0, 1])]);
      recordings.end(last.id, "exit code 0", NOW);
      await recordings.upload();
      const cast = await inR2(last.id);
      expect(cast && shown(cast)).toBe("session 19");
    }));

  it("never reach those of the next recording", () =>
    inObject(async (object) => {
      const spool = new Spool(object.sql);
      const metadata = (sessionId: string) => ({ sessionId }) as CastMetadata;
      const [first, second] = [spool.begin(metadata("first"), NOW), spool.begin(metadata("second"), NOW)];
      const place = 2 ** 32 - 4;
      expect(() => spool.append(first, place, new Uint8Array(5), NOW)).toThrow("too large");
      spool.append(first, place, Uint8Array.of(1, 2, 3, 4), NOW);
      spool.append(second, 0, Uint8Array.of(5), NOW);
      const [one, two] = [spool.find("first"), spool.find("second")];
      if (!one || !two) throw new Error("they were not stored");
      expect([spool.byteLength(one), spool.byteLength(two)]).toEqual([2 ** 32, 1]);
      expect([...spool.bytes(one, place, 9)]).toEqual([1, 2, 3, 4]);
      expect([...spool.bytes(two, 0, 9)]).toEqual([5]);
    }));
});

describe("when the object stops", () => {
  it("between two chunks, the next life ends the recording and marks it", () =>
    inObject(async (object) => {
      const { id, recording } = begin(object.live());
      print(recording, "hello");
      print(recording, "there", NOW + 200);
      recording.flush(NOW + 210);
      print(recording, "lost", NOW + 220);
      const next = object.live();
      const summary = next.endInterrupted().get(id);
      await next.upload();
      expect(summary).toMatchObject({
        state: "interrupted",
        reason: expect.stringContaining("crash, eviction or deploy"),
      });
      const cast = await inR2(id);
      expect(cast && shown(cast)).toMatch(/^hellothere\r\n.*recording interrupted here/);
      expect(cast?.events.at(-1)).toEqual([0.21, "m", "interrupted"]);
      expect((await env.RECORDINGS.head(recordingKey(id)))?.size).toBe(summary?.bytes);
      expect(object.live().endInterrupted().size).toBe(0);
    }));

  it("after the command's Status, nothing is missing and the next life says how it ended", () =>
    inObject(async (object) => {
      const { id, recording } = begin(object.live());
      print(recording, "hello");
      // As the relay does when the Status arrives, before it passes it on.
      recording.flush(NOW + 500);
      const next = object.live();
      const summary = next.endInterrupted(new Map([[id, "exit code 3"]])).get(id);
      await next.upload();
      expect(summary).toEqual({ state: "complete", bytes: expect.any(Number), reason: null });
      expect((await inR2(id))?.events).toEqual([
        [0, "o", "hello"],
        [0.5, "m", "exit code 3"],
      ]);
    }));

  it.each([undefined, "exit code 3"])(
    "the next life does not call a recording complete that had reached its size (end: %s)",
    (label) =>
      inObject(async (object) => {
        const { id, recording } = begin(object.live(), { maxBytes: 65_536 });
        print(recording, "x".repeat(70_000));
        recording.flush(NOW);
        const next = object.live();
        const summary = next.endInterrupted(new Map(label === undefined ? [] : [[id, label]])).get(id);
        await next.upload();
        const notice = "recording stopped here: it reached the largest size allowed, 64 KiB";
        expect(summary).toMatchObject({ state: "capped", reason: notice });
        const cast = await inR2(id);
        expect(cast?.events.slice(-3).map(([, code, data]) => [code, data])).toEqual([
          ["m", notice],
          ["o", expect.stringContaining(notice)],
          ["m", label ?? "interrupted"],
        ]);
        expect((await env.RECORDINGS.head(recordingKey(id)))?.size).toBeLessThanOrEqual(65_536);
      }),
  );

  it("before the first byte, there is a valid cast", () =>
    inObject(async (object) => {
      const { id } = begin(object.live());
      const next = object.live();
      next.endInterrupted();
      await next.upload();
      expect(await inR2(id)).toMatchObject({
        header: { version: 2, width: 80, height: 24 },
        events: [
          [0, "o", expect.stringContaining("interrupted")],
          [0, "m", "interrupted"],
        ],
      });
    }));

  it("between two parts, the next life continues the same upload", () =>
    inObject(async (object) => {
      const create = vi.fn<Fault>((call) => call());
      const bucket = bucketWith({ createMultipartUpload: create as Fault });
      const first = object.live(bucket);
      const { id, recording } = begin(first);
      const output = printMuch(recording, 7);
      await first.upload();
      recording.flush(NOW + 20_000);
      const next = object.live(bucket);
      next.endInterrupted();
      await next.upload();
      const cast = await inR2(id);
      expect(cast && shown(cast).startsWith(output)).toBe(true);
      expect(cast?.events.at(-1)?.[2]).toBe("interrupted");
      expect(create).toHaveBeenCalledTimes(1);
    }));

  it("after its last session, the next life uploads the rest", () =>
    inObject(async (object) => {
      const first = object.live(bucketWith({ put: down }));
      const { id, recording } = begin(first);
      print(recording, "hello");
      first.end(id, "exit code 3", NOW);
      await first.upload();
      const next = object.live();
      expect([next.endInterrupted().size, next.hasWaiting]).toEqual([0, true]);
      await next.upload();
      expect((await inR2(id))?.events.at(-1)?.[2]).toBe("exit code 3");
    }));

  it.each(["createMultipartUpload", "uploadPart", "complete"] as const)(
    "or loses the answer to %s: nothing is lost or twice",
    (step) =>
      inObject(async (object) => {
        const bucket = bucketWith({ [step]: answerLost() });
        const first = object.live(bucket);
        const { id, recording } = begin(first);
        const output = printMuch(recording, 6);
        first.end(id, "exit code 0", NOW + 60_000);
        await first.upload();
        const next = object.live(bucket);
        await next.upload();
        const cast = await inR2(id);
        expect(cast && shown(cast) === output).toBe(true);
        expect([object.rows, object.spooled]).toEqual([0, 0]);
      }),
  );

  it("or loses the answer to a put that the bucket's lock allows once", () =>
    inObject(async (object) => {
      let puts = 0;
      const put: Fault = async (call) => {
        if (++puts > 1) throw new Error("the object is locked by a bucket policy (10069)");
        await call();
        throw new Error("network connection lost");
      };
      const recordings = object.live(bucketWith({ put, head: answerLost() }));
      const { id, recording } = begin(recordings);
      print(recording, "hello");
      recordings.end(id, "exit code 0", NOW);
      await recordings.upload();
      expect(recordings.hasWaiting).toBe(true);
      await recordings.upload();
      expect([recordings.hasWaiting, object.rows]).toEqual([false, 0]);
      expect(await inR2(id)).toMatchObject({
        events: [
          [0, "o", "hello"],
          [0, "m", "exit code 0"],
        ],
      });
    }));
});

describe("while R2 is down", () => {
  it("recordings wait with growing pauses, and are uploaded when it is back", () =>
    inObject(async (object) => {
      let isDown = true;
      const put: Fault = (call) => (isDown ? down(call) : call());
      const recordings = object.live(bucketWith({ put }));
      const { id, recording } = begin(recordings);
      print(recording, SECRET);
      recordings.end(id, "exit code 0", NOW);
      const pauses: number[] = [];
      for (let i = 0; i < 12; i++) {
        await recordings.upload();
        pauses.push(recordings.retryInMs);
      }
      expect(pauses.slice(0, 3)).toEqual([1_000, 2_000, 4_000]);
      expect(pauses.at(-1)).toBe(300_000);
      isDown = false;
      await recordings.upload();
      expect(recordings.isFailing).toBe(false);
      expect(await inR2(id)).toMatchObject({
        events: [
          [0, "o", SECRET],
          [0, "m", "exit code 0"],
        ],
      });
    }));

  it("and takes a part without reading it, the object holds no more of it than a chunk", () =>
    inObject(async (object) => {
      let bytesRead = 0;
      const sql = {
        exec: (query: string, ...bindings: SqlStorageValue[]) => {
          const cursor = object.sql.exec(query, ...bindings);
          if (!query.startsWith("SELECT position, bytes")) return cursor;
          const rows = cursor.toArray();
          for (const row of rows) bytesRead += (row["bytes"] as ArrayBuffer).byteLength;
          return rows;
        },
      } as unknown as SqlStorage;
      const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
      const { promise: isOver, reject: giveUp } = Promise.withResolvers<R2UploadedPart>();
      const bucket = {
        createMultipartUpload: async () => ({ uploadId: "slow" }),
        resumeMultipartUpload: () => ({
          uploadPart: (_: number, body: ReadableStream) => {
            ask();
            return isOver.finally(() => body.cancel());
          },
        }),
      } as unknown as R2Bucket;
      const recordings = object.live(bucket, undefined, sql);
      const { recording } = begin(recordings);
      printMuch(recording, 7);
      const upload = recordings.upload();
      await asked;
      await scheduler.wait(0);
      expect(bytesRead).toBeLessThanOrEqual(2 * CHUNK_BYTES);
      giveUp(new Error("internal error (10001)"));
      await upload;
      expect(recordings.isFailing).toBe(true);
    }));

  it("hundreds of recordings wait, and all are uploaded once it is back", () =>
    inObject(async (object) => {
      const recordings = object.live();
      const ids = Array.from({ length: 250 }, () => {
        const { id, recording } = begin(recordings);
        print(recording, id);
        recordings.end(id, "exit code 0", NOW);
        return id;
      });
      await recordings.upload();
      expect([object.rows, object.spooled, recordings.hasWaiting]).toEqual([0, 0, false]);
      const cast = await inR2(ids[249] ?? "");
      expect(cast && shown(cast)).toBe(ids[249]);
    }));

  it("one recording that R2 refuses does not delay the others", () =>
    inObject(async (object) => {
      let refused: string | undefined;
      const recordings = object.live({
        ...bucketWith({}),
        put: (key: string, ...rest: [Uint8Array, R2PutOptions]) => {
          refused ??= key;
          return key === refused ? down(() => Promise.resolve(null)) : env.RECORDINGS.put(key, ...rest);
        },
      } as R2Bucket);
      for (let i = 0; i < 3; i++) {
        const { id, recording } = begin(recordings);
        print(recording, "hello");
        recordings.end(id, "exit code 0", NOW);
      }
      await recordings.upload();
      await recordings.upload();
      expect(object.rows).toBe(1);
    }));

  it.each(["continue", "end"] as const)(
    "and the spool is full, the recording marks where it stops (policy %s)",
    (onFailure) =>
      inObject(async (object) => {
        const recordings = object.live(bucketWith({ put: down, createMultipartUpload: down }), 2 << 20);
        const onMustEnd = vi.fn();
        const { id, recording } = begin(recordings, { onFailure }, onMustEnd);
        printMuch(recording, 4);
        await Promise.resolve();
        expect(onMustEnd.mock.calls).toEqual(
          onFailure === "end" ? [["recording_failed", "session ended: it can no longer be recorded"]] : [],
        );
        const summary = recordings.end(id, "exit code 0", NOW + 60_000);
        const notice = "recording stopped here: 2 MiB of recordings wait for R2, which takes none";
        expect(summary).toMatchObject({ state: "failed", reason: notice });
        expect(object.spooled).toBeLessThan((2 << 20) + CHUNK_BYTES);
        await object.live().upload();
        const cast = await inR2(id);
        expect(cast?.events.slice(-3).map(([, code, data]) => [code, data])).toEqual([
          ["m", notice],
          ["o", expect.stringContaining(notice)],
          ["m", "exit code 0"],
        ]);
      }),
  );

  it("and R2 loses an upload, the rest of the recording stays and can be read", () =>
    inObject(async (object) => {
      const recordings = object.live();
      const { id, recording } = begin(recordings);
      printMuch(recording, 7);
      await recordings.upload();
      const { upload_id } = object.sql.exec<{ upload_id: string }>("SELECT upload_id FROM recordings").one();
      await env.RECORDINGS.resumeMultipartUpload(recordingKey(id), upload_id).abort();
      recordings.end(id, "exit code 0", NOW + 60_000);
      await recordings.upload();
      expect([recordings.hasWaiting, recordings.isFailing, object.rows]).toEqual([false, false, 1]);
      const response = await stream(env.RECORDINGS, id, async (offset) => recordings.read(id, offset, NOW));
      expect((await castOf(response)).events.at(-1)).toEqual([60, "m", "exit code 0"]);
    }));
});

it("when the object's own storage fails, no message throws, and the audit log says so", () =>
  inObject(async (object) => {
    let isBroken = false;
    const sql = {
      exec: (query: string, ...bindings: unknown[]) => {
        if (isBroken) throw new Error(`database or disk is full: ${SECRET}`);
        return object.sql.exec(query, ...bindings);
      },
    } as unknown as SqlStorage;
    const recordings = object.live(env.RECORDINGS, undefined, sql);
    const onMustEnd = vi.fn();
    const { id, recording } = begin(recordings, { onFailure: "end" }, onMustEnd);
    print(recording, "hello");
    isBroken = true;
    printMuch(recording, 2);
    await Promise.resolve();
    expect(onMustEnd).toHaveBeenCalledTimes(1);
    expect(recordings.end(id, "exit code 0", NOW)).toMatchObject({
      state: "failed",
      reason: expect.stringContaining("could not be stored"),
    });
    isBroken = false;
    const next = object.live();
    next.endInterrupted();
    await next.upload();
    expect((await inR2(id))?.events.at(-1)?.[2]).toBe("interrupted");
  }));

describe("reading", () => {
  const open = (recordings: Recordings, id: string, bucket: R2Bucket = env.RECORDINGS) =>
    stream(bucket, id, async (offset) => recordings.read(id, offset, NOW + 60_000));

  it("a finished recording comes from R2 with its type and length", () =>
    inObject(async (object) => {
      const recordings = object.live();
      const { id, recording } = begin(recordings);
      print(recording, "hello");
      const summary = recordings.end(id, "exit code 0", NOW);
      await recordings.upload();
      const response = await open(recordings, id);
      expect(response?.headers.get("Content-Type")).toBe("application/x-asciicast");
      expect(response?.headers.get("Content-Disposition")).toBe(`attachment; filename="${id}.cast"`);
      expect(response?.headers.get("Content-Length")).toBe(String(summary?.bytes));
      expect(shown(await castOf(response))).toBe("hello");
    }));

  it("a live recording comes up to its last byte", () =>
    inObject(async (object) => {
      const recordings = object.live();
      const { id, recording } = begin(recordings);
      const output = printMuch(recording, 3);
      print(recording, "just now", NOW + 20_000);
      const cast = await castOf(await open(recordings, id));
      expect(shown(cast) === `${output}just now`).toBe(true);
    }));

  it("a live recording whose beginning is being uploaded comes with its header, a notice, and the rest", () =>
    inObject(async (object) => {
      const recordings = object.live();
      const { id, recording } = begin(recordings);
      const output = printMuch(recording, 7);
      await recordings.upload();
      const cast = await castOf(await open(recordings, id));
      expect(cast.header).toMatchObject({ version: 2, width: 80 });
      expect(cast.events[0]?.slice(1)).toEqual([
        "m",
        "5 MiB before this are on their way to the bucket, readable when the session has ended",
      ]);
      const [, ...rest] = cast.events.filter(([, code]) => code === "o").map(([, , data]) => data);
      expect(rest.join("").length).toBeGreaterThan(1 << 20);
      expect(output.endsWith(rest.join(""))).toBe(true);
    }));

  it("a recording that is uploaded while it is read continues from R2", () =>
    inObject(async (object) => {
      const recordings = object.live();
      const { id, recording } = begin(recordings);
      const output = printMuch(recording, 4);
      recordings.end(id, "exit code 0", NOW + 60_000);
      let asked = 0;
      const response = await stream(env.RECORDINGS, id, async (offset) => {
        if (asked++ === 2) await recordings.upload();
        return recordings.read(id, offset, NOW);
      });
      const cast = await castOf(response);
      expect(shown(cast) === output).toBe(true);
      expect([asked, object.rows]).toEqual([3, 0]);
    }));

  it("a session without a recording gives none", () =>
    inObject(async (object) => {
      expect(await open(object.live(), "no-such-session")).toBeUndefined();
    }));

  it("while R2 fails, a live recording can be read and any other is an error", () =>
    inObject(async (object) => {
      const recordings = object.live();
      const { id, recording } = begin(recordings);
      print(recording, "hello");
      const broken = { get: () => Promise.reject(new Error("internal error (10001)")) } as unknown as R2Bucket;
      expect(shown(await castOf(await open(recordings, id, broken)))).toBe("hello");
      const log = vi.spyOn(console, "error").mockImplementation(() => {});
      await expect(open(recordings, "other", broken)).rejects.toThrow("recording_unavailable");
      expect(log).toHaveBeenCalledWith(expect.stringContaining("internal error"));
    }));
});
