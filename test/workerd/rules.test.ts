import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { eventually } from "../support/eventually.ts";
import { ended } from "./audit-rows.ts";
import { Client } from "./client.ts";
import { alice, directlyAs, someone, UPGRADE, upgrade } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { readStatus } from "./statuses.ts";

const SILENT = "/api/v1/namespaces/demo/pods/silent/exec?command=sh";

describe("a rule", () => {
  it("refuses a session and an API request with its own message", async () => {
    const rules = [
      { name: "no prod", match: { namespaces: ["prod-*"] }, action: "refuse", message: "prod is closed on Fridays" },
    ] satisfies ConfigInput["rules"];
    for (const path of ["/api/v1/namespaces/prod-1/pods", "/api/v1/namespaces/prod-1/pods/x/exec?command=sh"]) {
      const headers = path.includes("exec") ? UPGRADE : {};
      const response = await directlyAs(someone(), path, { headers }, { config: { rules } });
      expect(await readStatus(response)).toEqual({
        code: 403,
        reason: "Forbidden",
        message: "prod is closed on Fridays",
      });
    }
  });

  it("may end a session when the token that opened it expires", async () => {
    const rules = [
      { name: "short", match: { kinds: ["exec"] }, action: "allow", limits: { endWithToken: true } },
    ] satisfies ConfigInput["rules"];
    const exp = Math.floor(Date.now() / 1000) + 60;
    const client = await Client.open(
      directlyAs({ ...someone(), exp }, SILENT, { headers: UPGRADE }, { config: { rules } }),
    );
    onTestFinished(() => void vi.useRealTimers());
    vi.useFakeTimers({ toFake: ["Date"], now: exp * 1_000 });
    expect((await client.closed).code).toBe(1000);
    expect(client.text(3)).toContain("the sign-in that opened it has expired");
    expect((await ended(client.sessionId)).outcome).toBe("token_expired");
  });
});

describe("a rule on countries", () => {
  const config = {
    identities: [{ match: { emailDomain: "example.com", country: ["DE"] }, groups: ["developers"] }],
  } satisfies Partial<ConfigInput>;

  it.each([
    ["DE", "DE", 200],
    ["DE", "RU", 403],
    ["DE", "T1", 403],
    ["US", "DE", 403],
  ])("compares where the sign-in was (%s) and where the request comes from (%s)", async (signedIn, country, status) => {
    const path = "/api/v1/namespaces";
    const response = await directlyAs({ ...alice, country: signedIn }, path, { cf: { country } }, { config });
    expect(response.status).toBe(status);
  });
});

describe("a WebSocket to a workload", () => {
  it("is a session of kind proxy: limited, logged, not recorded", async () => {
    const pod = await Puppet.make();
    const client = await Client.open(upgrade(someone(), `/api/v1/namespaces/demo/pods/${pod.name}:8080/proxy/ws`));
    expect((await pod.request()).url).toContain("/proxy/ws");
    client.send("hello");
    await eventually(() => expect(pod.received).toEqual(["hello"]));
    pod.send(Uint8Array.of(1, 2));
    await eventually(() => expect(client.received).toEqual([Uint8Array.of(1, 2)]));
    client.close();
    expect(await ended(client.sessionId)).toMatchObject({
      ...{ kind: "proxy", pod: `${pod.name}:8080`, recording_mode: "off", bytes_in: 5, bytes_out: 2 },
    });
  });
});
