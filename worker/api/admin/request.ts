import type { Config } from "../../config/schema.ts";
import type { Bindings } from "../../env.ts";
import type { Identity } from "../../policy/identify.ts";

/** A request to the admin API, of somebody whose role allows it. */
export interface AdminRequest {
  readonly request: Request;
  readonly url: URL;
  readonly admin: Identity;
  readonly config: Config;
  readonly env: Bindings;
  /** What the pattern's one variable part matched, decoded; empty where the pattern has none. */
  readonly part: string;
}
