import { logEvent } from "../../common/log.ts";
import { parseWebhooks, type Webhooks } from "./configuration.ts";

/** What the deployment says about whom to tell. */
export interface ReadWebhooks {
  readonly webhooks: Webhooks;
  /** Why nobody is told; empty for a valid document, and without one. */
  readonly faults: readonly string[];
}

/** The last document, for all objects of this isolate. */
let last: { readonly text: string | undefined; readonly read: ReadWebhooks } | undefined;

/**
 * Reads `SALLYPORT_WEBHOOKS`. Sessions and locks do not depend on it, so an invalid one is logged, once per
 * isolate, and nobody is told.
 */
export function readWebhooks(text: string | undefined): ReadWebhooks {
  if (last?.text !== text || !last) last = { text, read: read(text) };
  return last.read;
}

function read(text: string | undefined): ReadWebhooks {
  const parsed = parseWebhooks(text);
  if (parsed.ok) return { webhooks: parsed.value, faults: [] };
  logEvent("error", "webhooks_invalid", { faults: parsed.error.join("; ") });
  return { webhooks: { destinations: [] }, faults: parsed.error };
}
