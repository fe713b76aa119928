/** The rows that are exported. */
import type { ChainedEvent } from "./chain.ts";
import type { StoredRequestRow } from "./rows.ts";

export const EXPORTED_TABLES = ["events", "requests"] as const;
export type ExportedTable = (typeof EXPORTED_TABLES)[number];

/** An event with columns of its session's start, for readers of single lines. null when there is no start. */
export interface NumberedEvent extends ChainedEvent {
  readonly row_number: number;
  readonly user: string | null;
  readonly cluster: string | null;
  readonly kind: string | null;
  readonly namespace: string | null;
  readonly pod: string | null;
}

export type NumberedRequest = StoredRequestRow & { readonly row_number: number };
