import { env } from "cloudflare:workers";
import { expect } from "vitest";
import type { ChainedEvent } from "../../audit/chain.ts";
import { ChainVerifier } from "../../audit/verify.ts";
import { eventually } from "../support/eventually.ts";

/** Waits for a number of locks and unlocks of a user in the audit log. @returns them, in order */
export async function lockEventsOf(user: string, count: number) {
  return eventually(async () => {
    const { results } = await env.AUDIT_DB.prepare(
      "SELECT type, data FROM events WHERE user = ? AND type IN ('lock', 'unlock') ORDER BY row_number",
    )
      .bind(user)
      .all<{ type: string; data: string }>();
    expect(results.length).toBe(count);
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
