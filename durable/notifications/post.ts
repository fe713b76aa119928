import { withTimeout } from "../../common/with-timeout.ts";
import { ANSWER_WITHIN_MS, MAX_RETRY_AFTER_MS } from "./limits.ts";
import type { Message } from "./message.ts";

/** What became of one attempt. Nothing in it may come from the address: it is logged. */
export type Attempt =
  | { readonly kind: "accepted" }
  /** 410: nobody wants anything there any more. */
  | { readonly kind: "gone" }
  | {
      readonly kind: "failed";
      /** For a log. */
      readonly cause: string;
      /** Whether it was about this very message, so that another may be accepted. */
      readonly isAboutMessage: boolean;
      /** How long the receiver asked to wait; 0 if it did not. */
      readonly retryAfterMs: number;
    };

/** Sends a message once. */
export type Post = (url: string, message: Message) => Promise<Attempt>;

/** Never throws. Follows no redirect, and reads nothing of an answer but its status and Retry-After. */
export const post: Post = async (url, { headers, body }) => {
  const patience = new AbortController();
  try {
    const { signal } = patience;
    // A redirect may lead anywhere, with a body that was meant for one receiver.
    const asked = fetch(url, { method: "POST", headers, body, redirect: "manual", signal });
    const answer = await withTimeout(asked, ANSWER_WITHIN_MS);
    // It may have no end.
    answer.body?.cancel().catch(() => {});
    return readAnswer(answer);
  } catch (error) {
    // Its message is not passed on: the runtime's may name the address.
    const isLate = error instanceof Error && error.message.startsWith("no answer within");
    return failed(isLate ? error.message : "the connection failed");
  } finally {
    patience.abort();
  }
};

function readAnswer({ status, headers }: Response): Attempt {
  if (status >= 200 && status < 300) return { kind: "accepted" };
  if (status === 410) return { kind: "gone" };
  const seconds = Number(/^\d{1,6}$/.exec(headers.get("Retry-After") ?? "")?.[0] ?? 0);
  return failed(
    status >= 300 && status < 400 ? `status ${status}, a redirect, which is not followed` : `status ${status}`,
    status === 400 || status === 413 || status === 422,
    Math.min(seconds * 1_000, MAX_RETRY_AFTER_MS),
  );
}

function failed(cause: string, isAboutMessage = false, retryAfterMs = 0): Attempt {
  return { kind: "failed", cause, isAboutMessage, retryAfterMs };
}
