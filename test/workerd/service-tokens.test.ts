import { describe, expect, it } from "vitest";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { ended } from "./audit-rows.ts";
import { Client } from "./client.ts";
import { admin, as, directlyAs, UPGRADE } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { readStatus } from "./statuses.ts";

const SILENT = "/api/v1/namespaces/demo/pods/silent/exec?command=sh";
const locks = (email: string) => `/-/admin/locks/${email}`;

describe("a service token", () => {
  const claims = { type: "app", sub: "", common_name: "ci.access" };
  const config = {
    identities: [{ match: { serviceToken: "ci.access" }, groups: ["deployers"] }],
  } satisfies Partial<ConfigInput>;

  it("reads and opens sessions as itself", async () => {
    const pod = await Puppet.make();
    const client = await Client.open(directlyAs(claims, pod.path(), { headers: UPGRADE }, { config }));
    const { headers } = await pod.request();
    expect(headers).toMatchObject({ "impersonate-user": "service:ci.access", "impersonate-group": "deployers" });
    expect(headers).not.toHaveProperty("impersonate-uid");
    client.close();
    expect((await ended(client.sessionId)).user).toBe("service:ci.access");
  });

  it("is locked and ended by its name, whatever its case", async () => {
    const mixed = { ...claims, common_name: "Deploy-Bot.access" };
    const rules = { identities: [{ match: { serviceToken: "Deploy-Bot.access" }, groups: ["deployers"] }] };
    const open = () => directlyAs(mixed, SILENT, { headers: UPGRADE }, { config: rules });
    const client = await Client.open(open());
    const locked = await as(admin, locks("service:Deploy-Bot.access"), { method: "PUT" });
    expect(await locked.json()).toMatchObject({ locked: true, ended: [client.sessionId] });
    expect((await open()).status).toBe(403);
    expect((await as(admin, locks("service:Deploy-Bot.access"), { method: "DELETE" })).status).toBe(200);
  });

  it("that no rule knows reads so", async () => {
    const response = await as(claims, "/api/v1/namespaces");
    expect(await readStatus(response)).toMatchObject({
      code: 403,
      message: "no rule here gives service:ci.access access: ask your administrator to add one",
    });
  });
});
