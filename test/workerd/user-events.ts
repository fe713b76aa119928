import { env } from "cloudflare:workers";
import { expect } from "vitest";
import type { ChainedEvent } from "../../audit/chain.ts";
import { ChainVerifier } from "../../audit/verify.ts";
import { eventually } from "../support/eventually.ts";

/** A user's locks and unlocks in the audit log, in order; waits for the first. */
export async function lockEventsOf(user: string) {
  return eventually(async () => {
    const { results } = await env.AUDIT_DB.prepare(
      "SELECT type, data FROM events WHERE user = ? AND type IN ('lock', 'unlock') ORDER BY at",
    )
      .bind(user)
      .all<{ type: string; data: string }>();
    expect(results.length).toBeGreaterThan(0);
    return results.map(({ type, data }) => ({ type, ...JSON.parse(data) }));
  });
}

/** What is wrong with the hash chains of everything that the audit log has of a user. */
export async function brokenLinks(user: string) {
  const { results } = await env.AUDIT_DB.prepare(
    "SELECT * FROM events WHERE session_id IN (SELECT session_id FROM events WHERE user = ?) ORDER BY session_id, seq",
  )
    .bind(user)
    .all<ChainedEvent>();
  const verifier = new ChainVerifier();
  for (const event of results) verifier.add(event);
  return verifier.finish().broken;
}
