import { describe, expect, it } from "vitest";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { ended } from "./audit-rows.ts";
import { Client } from "./client.ts";
import { as, directlyAs, someone, UPGRADE } from "./people.ts";
import { readStatus } from "./statuses.ts";

const SILENT = "/api/v1/namespaces/demo/pods/silent/exec?command=sh";

describe("a session that needs a reason", () => {
  const rules = [
    { name: "say why", match: { kinds: ["exec"] }, action: "allow", requireReason: true },
  ] satisfies ConfigInput["rules"];
  const open = (who: ReturnType<typeof someone>) =>
    directlyAs(who, SILENT, { headers: UPGRADE }, { config: { rules } });

  it("is refused with instructions, opens once the reason is stated, and is logged with it", async () => {
    const person = someone();
    expect((await readStatus(await open(person))).message).toContain(
      'echo "why" | kubectl create --raw /-/reason -f -',
    );
    const stated = await as(person, "/-/reason", { method: "POST", body: "INC-17: disk full\u001b[2J\n" });
    expect(await stated.json()).toMatchObject({ reason: "INC-17: disk full [2J" });
    const client = await Client.open(open(person));
    client.close();
    expect(await ended(client.sessionId)).toMatchObject({ access_reason: "INC-17: disk full [2J", rule: "say why" });
    const other = someone();
    expect((await open(other)).status).toBe(403);
  });

  it.each(["", "   ", '{"reason":""}', "x".repeat(20_000)])("does not accept %j as one", async (text) => {
    expect((await as(someone(), "/-/reason", { method: "POST", body: text })).status).toBe(400);
  });

  it("does not accept one from a page of another site", async () => {
    const headers = { Origin: "https://evil.example" };
    expect((await as(someone(), "/-/reason", { method: "POST", body: "x", headers })).status).toBe(403);
  });
});
