/** Notifications of the local stack, to receivers on loopback that read them as real ones do. */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { query } from "./support/audit-log.ts";
import { startTestStack, type TestStack } from "./support/people.ts";

const KEY = randomBytes(32);
const SECRET = `whsec_${KEY.toString("base64")}`;
/** In each address, as in those of a chat. */
const PRIVATE = `T0-${randomBytes(8).toString("hex")}`;

interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const received: Received[] = [];
/** Answers that never come. */
const hanging: ServerResponse[] = [];
const receiver = createServer(async (request, response) => {
  let body = "";
  for await (const chunk of request) body += String(chunk);
  const path = (request.url ?? "").replace(`/${PRIVATE}`, "");
  received.push({ path, headers: request.headers, body });
  if (path === "/hangs") hanging.push(response);
  else if (path === "/moved") response.writeHead(307, { Location: "/stolen" }).end();
  else response.writeHead(204).end();
});

let people: TestStack;
beforeAll(async () => {
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  const url = (path: string) => `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/${PRIVATE}${path}`;
  const destinations = [
    { name: "siem", format: "standard", url: url("/siem"), secret: SECRET },
    { name: "chat", format: "slack", url: url("/chat"), events: ["lock", "unlock"] },
    { name: "teams", format: "teams", url: url("/teams"), events: ["lock"] },
    { name: "hangs", format: "slack", url: url("/hangs") },
    { name: "moved", format: "slack", url: url("/moved") },
  ];
  people = await startTestStack({}, { webhooks: JSON.stringify({ destinations }) });
});
afterAll(async () => {
  await people?.stop();
  for (const response of hanging) response.destroy();
  receiver.closeAllConnections();
  await new Promise((resolve) => receiver.close(resolve));
});

const at = (path: string) => received.filter((one) => one.path === path);

/** As https://www.standardwebhooks.com has receivers do it. */
function verify({ headers, body }: Received): { readonly type: string; readonly data: object } {
  const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
  const expected = createHmac("sha256", KEY).update(signed).digest();
  const [version, signature = ""] = String(headers["webhook-signature"]).split(",");
  expect(version).toBe("v1");
  expect(timingSafeEqual(Buffer.from(signature, "base64"), expected)).toBe(true);
  expect(Math.abs(Number(headers["webhook-timestamp"]) - Date.now() / 1_000)).toBeLessThan(300);
  return JSON.parse(body);
}

it("a lock by the administrator reaches everybody who wants to know, and nobody waits for who does not answer", async () => {
  const alice = people.stack.personas.alice.email;
  const asked = await people.admin("PUT", `locks/${alice}?reason=${encodeURIComponent("stolen <laptop> @channel")}`);
  expect(asked.status).toBe(200);
  await expect.poll(() => at("/siem")).toHaveLength(1);
  await expect.poll(() => [at("/chat").length, at("/teams").length, at("/hangs").length]).toEqual([1, 1, 1]);
  await expect.poll(() => at("/moved").length).toBeGreaterThan(0);

  const [signed] = at("/siem").map(verify);
  const data = { user: alice, by: "admin@example.com", reason: "stolen <laptop> @channel", until: null };
  expect(signed).toMatchObject({ type: "sallyport.lock", data });
  const rows = `SELECT session_id FROM events WHERE type = 'lock' AND user = '${alice}'`;
  await expect
    .poll(() => query(people.stack.d1Path, rows))
    .toEqual([{ session_id: at("/siem")[0]?.headers["webhook-id"] }]);
  const link = `${people.stack.personas.admin.url}/-/admin/locks/${encodeURIComponent(alice)}`;
  expect(JSON.parse(at("/chat")[0]?.body ?? "").text).toBe(
    `Sallyport: admin@example.com locked ${alice} until the lock is lifted. ` +
      `Reason: "stolen &lt;laptop&gt; @\u200Bchannel" ${link}`,
  );
  expect(JSON.parse(at("/teams")[0]?.body ?? "").attachments[0].content.actions).toMatchObject([{ url: link }]);

  expect((await people.alice.run("get", "pods")).stderr).toContain("is locked by admin@example.com");
  expect((await people.admin("DELETE", `locks/${alice}?reason=found`)).status).toBe(200);
  await expect
    .poll(() =>
      at("/siem")
        .map(verify)
        .map(({ type }) => type),
    )
    .toEqual(["sallyport.lock", "sallyport.unlock"]);
  // The edge relies on what it knows of a lock for 10 s.
  await expect.poll(async () => (await people.alice.run("get", "pods")).code).toBe(0);
});

it("an administrator's test arrives, with kubectl, and others may not send one", async () => {
  const { stdout } = await people
    .kubectl("admin")
    .runWithInput("", "create", "--raw", "/-/admin/webhooks/test", "-f", "-");
  expect(JSON.parse(stdout)).toMatchObject({ destinations: ["siem", "hangs", "moved"] });
  await expect
    .poll(() =>
      at("/siem")
        .map(verify)
        .map(({ type }) => type),
    )
    .toContain("sallyport.test");
  const refused = await people.alice.runWithInput("", "create", "--raw", "/-/admin/webhooks/test", "-f", "-");
  expect(refused.stderr).toContain("requires the role admin");
  const shown = await (await people.admin("GET", "webhooks")).text();
  expect(JSON.parse(shown)).toMatchObject({ faults: [], address: people.stack.personas.admin.url });
  expect(shown).not.toContain(PRIVATE);
});

it("no redirect is followed, and no log has an address or the secret", async () => {
  const log = () => readFileSync(people.stack.logPath, "utf8");
  await expect
    .poll(log)
    .toContain('"destination":"moved","attempt":1,"cause":"status 307, a redirect, which is not followed"');
  // After 15 s.
  await expect.poll(log).toContain('"destination":"hangs","attempt":1,"cause":"no answer within 15000 ms"');
  expect(at("/stolen")).toEqual([]);
  expect(log()).not.toContain(PRIVATE);
  expect(log()).not.toContain(SECRET);
});
