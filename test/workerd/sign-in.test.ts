/** How somebody signed in, from the token to the audit log. */
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { eventually } from "../support/eventually.ts";
import { ended, eventsOf } from "./audit-rows.ts";
import { Client } from "./client.ts";
import { admin, as, directlyAs, someone, UPGRADE } from "./people.ts";

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

it("… of an API request too, changes and reads, and the admin API shows it", async () => {
  const person = { ...someone(), device_id: DEVICE };
  await directlyAs(person, "/api/v1/namespaces/demo/secrets/s");
  await directlyAs(person, "/api/v1/namespaces/demo/configmaps/c", { method: "DELETE" });
  const other = someone();
  await directlyAs(other, "/api/v1/namespaces/demo/secrets/s");
  const rowsOf = ({ email }: { email: string }, count: number) =>
    eventually(async () => {
      const answer = await as(admin, `/-/admin/requests?user=${email}`);
      const { items } = (await answer.json()) as { items: { verb: string; signIn: unknown; deviceId: unknown }[] };
      expect(items).toHaveLength(count);
      return items.map(({ verb, signIn, deviceId }) => [verb, signIn, deviceId]);
    });
  expect(await rowsOf(person, 2)).toEqual([
    ["delete", null, DEVICE],
    ["get", null, DEVICE],
  ]);
  expect(await rowsOf(other, 1)).toEqual([["get", null, null]]);
  const { results } = await env.AUDIT_DB.prepare("SELECT data FROM events WHERE user = ? AND type = 'request'")
    .bind(other.email)
    .all<{ data: string }>();
  expect(results.map(({ data }) => "device_id" in JSON.parse(data))).toEqual([false]);
});

it("a service token's change says so", async () => {
  const config = { identities: [{ match: { serviceToken: "ci.sign-in" }, groups: ["deployers"] }] };
  const token = { type: "app", sub: "", common_name: "ci.sign-in" };
  await directlyAs(token, "/api/v1/namespaces/demo/configmaps/c", { method: "DELETE" }, { config });
  await eventually(async () => {
    const row = await env.AUDIT_DB.prepare("SELECT sign_in FROM requests WHERE user = 'service:ci.sign-in'").first();
    expect(row).toEqual({ sign_in: "service_token" });
  });
});

it("a service token is in the audit log as what it is", async () => {
  const config = { identities: [{ match: { serviceToken: "ci.access" }, groups: ["deployers"] }] };
  const start = await startOf({ type: "app", sub: "", common_name: "ci.access" }, config);
  expect(start).toMatchObject({ user: "service:ci.access", sign_in: "service_token", view: ["service_token", null] });
});
