import { CAST_CONTENT_TYPE, recordingKey } from "../../contract/recording.ts";
import { PART_BYTES } from "./policy.ts";
import type { Spool, SpooledRecording } from "./spool.ts";

/**
 * Brings one recording to R2 as far as it is ready: whole parts while the session goes on, everything once it has ended.
 * A small one goes as one put at its end.
 *
 * Each step is safe to repeat, for the object may stop between R2's answer and the note of it: a part is put again under
 * its number, and an object that is there in full is what was wanted. Rejects when R2 fails; the next call goes on.
 *
 * There is no time limit on a part: R2 keeps the one that arrives last, and a late one would take the place of the one
 * whose etag is written down.
 *
 * @param mayGoOn is asked before each step; where the answer is no, the rest is for the next call
 */
export async function uploadReady(bucket: R2Bucket, spool: Spool, id: string, mayGoOn: () => boolean): Promise<void> {
  for (;;) {
    const recording = spool.find(id);
    if (!recording || recording.state === "lost") return;
    const next = nextStep(recording, spool.size(recording));
    if (next === "wait" || !mayGoOn()) return;
    try {
      await take(next, bucket, spool, recording);
    } catch (error) {
      if (recording.state === "ended" && (await isThere(bucket, recording, spool))) spool.forget(recording);
      else if (isUnknownUpload(error)) giveUp(spool, recording);
      else throw error;
    }
  }
}

type Step = "wait" | "put" | "create" | "part" | "complete";

function nextStep({ state, upload_id, etags }: SpooledRecording, size: number): Step {
  const rest = size - etags.length * PART_BYTES;
  if (rest < PART_BYTES && state === "open") return "wait";
  if (upload_id === null) return state === "ended" && size <= PART_BYTES ? "put" : "create";
  return rest > 0 ? "part" : "complete";
}

async function take(step: Exclude<Step, "wait">, bucket: R2Bucket, spool: Spool, recording: SpooledRecording) {
  const { id, upload_id, etags } = recording;
  const key = recordingKey(id);
  const options = { customMetadata: metadataOf(recording), httpMetadata: { contentType: CAST_CONTENT_TYPE } };
  switch (step) {
    case "put":
      await bucket.put(key, spool.bytes(recording, 0, PART_BYTES), options);
      spool.forget(recording);
      return;
    case "create":
      spool.setUpload(id, (await bucket.createMultipartUpload(key, options)).uploadId);
      return;
    case "part": {
      const bytes = spool.bytes(recording, etags.length * PART_BYTES, PART_BYTES);
      const upload = bucket.resumeMultipartUpload(key, upload_id ?? "");
      const { etag } = await upload.uploadPart(etags.length + 1, bytes);
      spool.partUploaded(recording, etag);
      return;
    }
    case "complete":
      await bucket
        .resumeMultipartUpload(key, upload_id ?? "")
        .complete(etags.map((etag, index) => ({ partNumber: index + 1, etag })));
      spool.forget(recording);
      return;
  }
}

/** For whoever lists the bucket. */
function metadataOf({ facts, started_at }: SpooledRecording): Record<string, string> {
  const { sessionId, user, cluster, kind, namespace, pod } = facts;
  return { session: sessionId, user, cluster, kind, namespace, pod, started: new Date(started_at).toISOString() };
}

/** A former life may have finished it: then the upload is no longer known, or the bucket's lock refuses a second put. */
async function isThere(bucket: R2Bucket, recording: SpooledRecording, spool: Spool): Promise<boolean> {
  const found = await bucket.head(recordingKey(recording.id));
  return found?.size === spool.size(recording);
}

/** R2's `NoSuchUpload`: aborted by hand, or by the bucket's rule for uploads that stay unfinished (7 days by default). */
function isUnknownUpload(error: unknown): boolean {
  return error instanceof Error && /\(10024\)/.test(error.message);
}

function giveUp(spool: Spool, { id, etags }: SpooledRecording): void {
  console.error(
    `recording: R2 has lost the upload of session ${id}, ${etags.length} parts: what is left stays in the object`,
  );
  spool.lost(id);
}
