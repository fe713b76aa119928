/** The configuration document as the page Rules has it: what `GET /-/admin/config` shows. */
import type { Config, Grant, IdentityRule, Limits, Rule } from "../../../worker/config/schema.ts";
import type { ConfigInForce } from "../api/endpoints.ts";

export type { Grant, IdentityRule, Rule };
export type IdentityMatch = IdentityRule["match"];

export interface ShownCluster {
  readonly name: string;
  /** Empty for every host name. */
  readonly hostnames: readonly string[];
  /** In place of the document's own. */
  readonly identities?: readonly IdentityRule[];
  /** The cluster's own, then the document's. */
  readonly rules: readonly Rule[];
}

export interface RulesDocument
  extends Pick<Config, "identities" | "grants" | "recording" | "audit" | "portForward" | "loopbackOrigins"> {
  readonly limits: Limits;
  readonly access: Pick<Config["access"], "teamDomain" | "adminAudiences">;
  readonly clusters: readonly ShownCluster[];
}

/** The document of an answer. The edge validated it when it started. */
export function documentOf({ document }: Pick<ConfigInForce, "document">): RulesDocument {
  return document as unknown as RulesDocument;
}

/** Whether a part of the document has every word of a search somewhere in it, without regard to case. */
export function matchesSearch(part: unknown, search: string): boolean {
  const text = JSON.stringify(part).toLowerCase();
  return search
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}
