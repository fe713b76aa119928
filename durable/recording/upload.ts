import { logEvent } from "../../common/log.ts";
import { CAST_CONTENT_TYPE, recordingKey } from "../../contract/recording.ts";
import { PART_BYTES } from "./policy.ts";
import type { Spool, SpooledRecording } from "./spool.ts";

/**
 * Uploads one recording to R2 as far as it is ready: full parts while the session goes on, everything once it
 * has ended. A recording that fits into one part is one put at its end.
 *
 * Each step can be repeated, because the object may stop between R2's answer and the note of it. A part is
 * then put again under its number, and an object that is complete already counts as uploaded.
 *
 * No part has a timeout: R2 keeps the copy that arrives last, and a late one would replace the one whose etag
 * we noted.
 *
 * @param shouldContinue is asked before each step; after a no, the rest waits for the next call
 * @throws when R2 fails; the next call continues
 */
export async function uploadReady(
  bucket: R2Bucket,
  spool: Spool,
  sessionId: string,
  shouldContinue: () => boolean,
): Promise<void> {
  for (;;) {
    const recording = spool.find(sessionId);
    if (!recording || recording.state === "lost") return;
    const step = nextStep(recording, spool.byteLength(recording));
    if (step === "wait" || !shouldContinue()) return;
    try {
      await runStep(step, bucket, spool, recording);
    } catch (error) {
      if (recording.state === "ended" && (await isUploaded(bucket, recording, spool))) spool.remove(recording);
      else if (isUnknownUpload(error)) giveUp(spool, recording);
      else throw error;
    }
  }
}

type Step = "wait" | "put" | "create" | "part" | "complete";

function nextStep({ state, uploadId, partEtags }: SpooledRecording, byteLength: number): Step {
  const rest = byteLength - partEtags.length * PART_BYTES;
  if (rest < PART_BYTES && state === "open") return "wait";
  if (uploadId === null) return state === "ended" && byteLength <= PART_BYTES ? "put" : "create";
  return rest > 0 ? "part" : "complete";
}

async function runStep(step: Exclude<Step, "wait">, bucket: R2Bucket, spool: Spool, recording: SpooledRecording) {
  const { sessionId, uploadId, partEtags } = recording;
  const key = recordingKey(sessionId);
  const options = { customMetadata: objectMetadata(recording), httpMetadata: { contentType: CAST_CONTENT_TYPE } };
  switch (step) {
    case "put":
      await bucket.put(key, spool.stream(recording, 0, PART_BYTES), options);
      spool.remove(recording);
      return;
    case "create":
      spool.setUpload(sessionId, (await bucket.createMultipartUpload(key, options)).uploadId);
      return;
    case "part": {
      const part = spool.stream(recording, partEtags.length * PART_BYTES, PART_BYTES);
      const upload = bucket.resumeMultipartUpload(key, uploadId ?? "");
      const { etag } = await upload.uploadPart(partEtags.length + 1, part);
      spool.partUploaded(recording, etag);
      return;
    }
    case "complete":
      await bucket
        .resumeMultipartUpload(key, uploadId ?? "")
        .complete(partEtags.map((etag, index) => ({ partNumber: index + 1, etag })));
      spool.remove(recording);
      return;
  }
}

/** What a listing of the bucket shows. */
function objectMetadata({ metadata, startedAt }: SpooledRecording): Record<string, string> {
  const { sessionId, user, cluster, kind, namespace, pod } = metadata;
  return { session: sessionId, user, cluster, kind, namespace, pod, started: new Date(startedAt).toISOString() };
}

/**
 * An earlier life of the object may have finished the upload. R2 then no longer knows the upload, or the
 * bucket's lock refuses a second put.
 */
async function isUploaded(bucket: R2Bucket, recording: SpooledRecording, spool: Spool): Promise<boolean> {
  const found = await bucket.head(recordingKey(recording.sessionId));
  return found?.size === spool.byteLength(recording);
}

/** R2's `NoSuchUpload`: aborted by hand, or by the bucket's rule for unfinished uploads (default 7 days). */
function isUnknownUpload(error: unknown): boolean {
  return error instanceof Error && /\(10024\)/.test(error.message);
}

function giveUp(spool: Spool, { sessionId, partEtags }: SpooledRecording): void {
  logEvent("error", "recording_upload_lost", { session: sessionId, parts: partEtags.length });
  spool.uploadLost(sessionId);
}
