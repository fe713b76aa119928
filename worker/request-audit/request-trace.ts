import type { RequestInfo } from "../../kubernetes/request-info.ts";
import type { Identity } from "../policy/identify.ts";
import type { Refusal } from "../refusal.ts";

/** What becomes known of a request on its way through the edge. Each stage adds its own; the record is made of it. */
export interface RequestTrace {
  /** When it came, ms since the epoch. */
  readonly at: number;
  /** Whom Access vouches for. */
  user?: string;
  identity?: Identity;
  cluster?: string;
  info?: RequestInfo;
  rule?: string | undefined;
  /** Sallyport's own no. */
  refusal?: Refusal;
  /** Why there is no answer of the cluster's to a request that was let through. */
  failure?: string | undefined;
  /** What it is handed to: sessions have a record of their own. */
  destination?: "cluster" | "session" | "sallyport";
}
