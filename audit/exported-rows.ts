/** What of the record is exported, row by row. */
import type { ChainedEvent } from "./chain.ts";
import type { RequestRow } from "./rows.ts";

export const EXPORTED_TABLES = ["events", "requests"] as const;
export type ExportedTable = (typeof EXPORTED_TABLES)[number];

/** An event with what a reader of single lines wants to know of its session, from the session's start; null where unknown. */
export interface NumberedEvent extends ChainedEvent {
  readonly row_number: number;
  readonly user: string | null;
  readonly cluster: string | null;
  readonly kind: string | null;
  readonly namespace: string | null;
  readonly pod: string | null;
}

export type NumberedRequest = RequestRow & { readonly row_number: number };
