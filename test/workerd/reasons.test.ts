import { env } from "cloudflare:workers";
import { describe, expect, it, onTestFinished, vi } from "vitest";
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

  it("is stated to each object by itself where the one that decides runs older code", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    onTestFinished(() => void vi.restoreAllMocks());
    const person = someone();
    const sent: unknown[] = [];
    const older: ProxyHandler<DurableObjectStub> = {
      get(stub, method) {
        return async (...given: unknown[]) => {
          if (method === "stateReason") sent.push(given[0]);
          if (method !== "decideReason") return Reflect.get(stub, method)(...given);
          throw new TypeError('The RPC receiver does not implement the method "decideReason".');
        };
      },
    };
    const namespace = {
      idFromName: (name: string) => env.USER_SESSIONS.idFromName(name),
      get: (id: DurableObjectId) => new Proxy(env.USER_SESSIONS.get(id), older),
    };
    const stated = await directlyAs(
      person,
      "/-/reason",
      { method: "POST", body: "INC-18" },
      { config: { rules }, bindings: { USER_SESSIONS: namespace } },
    );
    expect(await stated.json()).toMatchObject({ reason: "INC-18", notReached: [] });
    expect(sent).toEqual([{ version: 2, reason: "INC-18", until: expect.any(Number) }]);
    const client = await Client.open(open(person));
    client.close();
    expect(await ended(client.sessionId)).toMatchObject({ access_reason: "INC-18" });
  });

  it.each(["", "   ", '{"reason":""}', "x".repeat(20_000)])("does not accept %j as one", async (text) => {
    expect((await as(someone(), "/-/reason", { method: "POST", body: text })).status).toBe(400);
  });

  it("does not accept one from a page of another site", async () => {
    const headers = { Origin: "https://evil.example" };
    expect((await as(someone(), "/-/reason", { method: "POST", body: "x", headers })).status).toBe(403);
  });
});
