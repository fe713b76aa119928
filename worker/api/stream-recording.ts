import { ok, type Result } from "../../common/result.ts";
import type { Denial } from "../../contract/denial.ts";
import { CAST_CONTENT_TYPE, type RecordingBlock, recordingKey } from "../../contract/recording.ts";

/** Asks the session's object for what R2 does not have; see `Recordings.read`. */
export type SpoolReader = (offset: number) => Promise<Result<RecordingBlock | null, Denial>>;

/**
 * Streams a recording: from R2, or what the object has of one that is live or not uploaded yet. For the Worker: a long
 * stream out of the object itself would be one more thing beside its sessions.
 *
 * @returns undefined where there is none, which is so when the session was not recorded, too; a denial where the object
 *   does not answer
 * @throws where R2 fails and the object has none
 */
export async function streamRecording(
  bucket: R2Bucket,
  sessionId: string,
  readSpool: SpoolReader,
): Promise<Result<Response | undefined, Denial>> {
  const found = await bucket.get(recordingKey(sessionId)).catch((error: unknown) => asError(error));
  if (found && "body" in found) return ok(answer(sessionId, found.body, found.size));
  const first = await readSpool(0);
  if (!first.ok) return first;
  if (first.value) {
    return ok(answer(sessionId, streamOf(spooled(bucket, sessionId, first.value, readSpool)), undefined));
  }
  if (found) throw found;
  // The upload may have been finished between the two questions.
  const late = await bucket.get(recordingKey(sessionId));
  return ok(late ? answer(sessionId, late.body, late.size) : undefined);
}

async function* spooled(
  bucket: R2Bucket,
  sessionId: string,
  first: RecordingBlock,
  readSpool: SpoolReader,
): AsyncGenerator<Uint8Array> {
  let block: RecordingBlock | null = first;
  while (block) {
    yield block.bytes;
    if (block.isLast) return;
    const { next }: RecordingBlock = block;
    const following = await readSpool(next);
    // The answer's head is gone: all that is left is to break it off.
    if (!following.ok) throw new Error(following.error.message);
    block = following.value;
    if (block) continue;
    // Uploaded meanwhile: the places in the cast are the same there.
    const object = await bucket.get(recordingKey(sessionId), { range: { offset: next } });
    if (!object) throw new Error("the recording is neither in the object nor in R2");
    yield* object.body as ReadableStream<Uint8Array>;
  }
}

/** Asks for the next block when the reader has taken the last one. */
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

function answer(sessionId: string, body: ReadableStream, size: number | undefined): Response {
  const headers = new Headers({
    "Content-Type": CAST_CONTENT_TYPE,
    "Content-Disposition": `attachment; filename="${sessionId}.cast"`,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
  });
  if (size === undefined) return new Response(body, { headers });
  // The header alone would not do: without a stream of known length the runtime sends chunks.
  headers.set("Content-Length", String(size));
  return new Response(body.pipeThrough(new FixedLengthStream(size)), { headers });
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error("R2 failed");
}
