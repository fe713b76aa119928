import { describeError, logEvent } from "../../common/log.ts";
import { err, ok, type Result } from "../../common/result.ts";
import { CAST_CONTENT_TYPE, type RecordingBlock, recordingKey } from "../../contract/recording.ts";
import { type Denial, denial } from "../denials.ts";
import { readByteRange } from "./byte-range.ts";

/** Reads from the session's object what R2 does not have, from a byte offset; null where it has nothing. */
export type ReadSpool = (offset: number) => Promise<Result<RecordingBlock | null, Denial>>;

/**
 * Streams a recording: from R2, or from its object while the session is live or the upload is not finished.
 *
 * The stream is the edge's. One out of the object would share the object's thread with its sessions.
 *
 * @param range the header `Range`: only what R2 has is served in parts, for the rest may still grow
 * @returns a denial where there is no recording, or where neither R2 nor the object returns it
 */
export async function streamRecording(
  bucket: R2Bucket,
  sessionId: string,
  readSpool: ReadSpool,
  range: string | null = null,
): Promise<Result<Response, Denial>> {
  const part = range === null ? undefined : await readPart(bucket, sessionId, range);
  if (part) return ok(part);
  const stored = await readStored(bucket, sessionId);
  if (stored.ok && stored.value) return ok(fileOf(sessionId, stored.value.body, stored.value.size));
  const first = await readSpool(0);
  // One code for all that keeps a recording from being read; the message says what it was.
  if (!first.ok) return err(denial("recording_unavailable", first.error.message));
  if (first.value) return ok(fileOf(sessionId, streamOf(spooledBytes(bucket, sessionId, first.value, readSpool))));
  // The upload may have finished between the two reads.
  const late = stored.ok ? await readStored(bucket, sessionId) : stored;
  if (!late.ok) return late;
  return late.value ? ok(fileOf(sessionId, late.value.body, late.value.size)) : err(NO_RECORDING);
}

const NO_RECORDING = denial(
  "not_found",
  "this session has no recording: its kind or its rule has none, or it never opened",
);

/** @returns undefined where the whole is to be served: it is not in R2, or the range is none of it */
async function readPart(bucket: R2Bucket, sessionId: string, range: string): Promise<Response | undefined> {
  const key = recordingKey(sessionId);
  try {
    const whole = await bucket.head(key);
    const part = whole && readByteRange(range, whole.size);
    if (!part) return undefined;
    const object = await bucket.get(key, { range: { ...part } });
    if (!object) return undefined;
    const { offset, length } = part;
    const headers = headersOf(sessionId);
    headers.set("Content-Range", `bytes ${offset}-${offset + length - 1}/${whole.size}`);
    headers.set("Content-Length", String(length));
    return new Response(object.body.pipeThrough(new FixedLengthStream(length)), { status: 206, headers });
  } catch (error) {
    logEvent("error", "recording_not_readable", { session: sessionId, error: describeError(error) });
    return undefined;
  }
}

async function readStored(bucket: R2Bucket, sessionId: string): Promise<Result<R2ObjectBody | null, Denial>> {
  try {
    return ok(await bucket.get(recordingKey(sessionId)));
  } catch (error) {
    logEvent("error", "recording_not_readable", { session: sessionId, error: describeError(error) });
    return err(denial("recording_unavailable", "R2, which has the recordings, does not answer: try again"));
  }
}

/** @throws where the rest cannot be read: the answer has begun, so breaking it off is all that is left */
async function* spooledBytes(
  bucket: R2Bucket,
  sessionId: string,
  first: RecordingBlock,
  readSpool: ReadSpool,
): AsyncGenerator<Uint8Array> {
  let block: RecordingBlock | null = first;
  while (block) {
    yield block.bytes;
    if (block.isLast) return;
    const { next }: RecordingBlock = block;
    const read = await readSpool(next);
    if (!read.ok) throw new Error(`${read.error.code}: ${read.error.message}`);
    block = read.value;
    if (block) continue;
    // It was uploaded meanwhile. Offsets in R2 are the same.
    const object = await bucket.get(recordingKey(sessionId), { range: { offset: next } });
    if (!object) throw new Error("the recording is neither in the object nor in R2");
    yield* object.body as ReadableStream<Uint8Array>;
  }
}

/** Reads the next block only when the client has taken the one before. */
function streamOf(blocks: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { value, done } = await blocks.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await blocks.return(undefined);
    },
  });
}

function fileOf(sessionId: string, body: ReadableStream, size?: number): Response {
  const headers = headersOf(sessionId);
  if (size !== undefined) headers.set("Accept-Ranges", "bytes");
  if (size === undefined) return new Response(body, { headers });
  // The runtime sends chunks, whatever the header says, unless the stream's length is known.
  headers.set("Content-Length", String(size));
  return new Response(body.pipeThrough(new FixedLengthStream(size)), { headers });
}

function headersOf(sessionId: string): Headers {
  return new Headers({
    "Content-Type": CAST_CONTENT_TYPE,
    "Content-Disposition": `attachment; filename="${sessionId}.cast"`,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
  });
}
