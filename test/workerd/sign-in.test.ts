/** How somebody signed in, from the token to the audit log. */
import { expect, it } from "vitest";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { ended, eventsOf } from "./audit-rows.ts";
import { Client } from "./client.ts";
import { directlyAs, someone, UPGRADE } from "./people.ts";

const EXEC = "/api/v1/namespaces/demo/pods/exit-3/exec?command=sh";
const DEVICE = "0f4b4e5a-7c2f-4b0e-9d0a-000000000001";

async function startOf(who: Parameters<typeof directlyAs>[0], config: Partial<ConfigInput> = {}) {
  const client = await Client.open(directlyAs(who, EXEC, { headers: UPGRADE }, { config }));
  const { sign_in, device_id } = await ended(client.sessionId);
  const [start] = await eventsOf(client.sessionId);
  return { ...start?.data, view: [sign_in, device_id] };
}

it("a person's device is in the audit log where the token has it, and no field where nobody knows", async () => {
  expect(await startOf({ ...someone(), device_id: DEVICE })).toMatchObject({
    device_id: DEVICE,
    view: [null, DEVICE],
  });
  const unknown = await startOf(someone());
  expect(unknown).not.toHaveProperty("device_id");
  expect(unknown).not.toHaveProperty("sign_in");
  expect(unknown.view).toEqual([null, null]);
});

it("a service token is in the audit log as what it is", async () => {
  const config = { identities: [{ match: { serviceToken: "ci.access" }, groups: ["deployers"] }] };
  const start = await startOf({ type: "app", sub: "", common_name: "ci.access" }, config);
  expect(start).toMatchObject({ user: "service:ci.access", sign_in: "service_token", view: ["service_token", null] });
});
