/** Lines of Sallyport's in a live session: who watches it, and what an administrator says. */
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { Client, frame, SUCCESS } from "./client.ts";
import { admin, as, directlyAs, someone, UPGRADE, upgrade } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { expectApiDenial } from "./statuses.ts";
import { brokenLinks } from "./user-events.ts";
import { recordedText, Watcher } from "./watcher.ts";

const TERMINAL = "command=sh&stdin=true&stdout=true&tty=true";
const WITHOUT = "command=sh&stdin=true&stdout=true&stderr=true";
const CONSOLE = "/apis/subresources.kubevirt.io/v1/namespaces/demo/virtualmachineinstances";

async function opened(query: string, { tell = false } = {}) {
  const person = someone();
  const pod = await Puppet.make();
  const rules = [{ name: "watched", match: { kinds: ["exec" as const] }, action: "allow" as const, tell }];
  const client = await Client.open(directlyAs(person, pod.path(query), { headers: UPGRADE }, { config: { rules } }));
  return { person, pod, client, id: client.sessionId };
}

const say = (who: Parameters<typeof as>[0], id: string, text: string) =>
  as(who, `/-/admin/sessions/${id}/message`, { method: "POST", body: JSON.stringify({ text }) });

describe("with tell, the watched person", () => {
  it("reads on the terminal who begins to watch and who stops, and so do the recording and the watchers", async () => {
    const { client, pod, id } = await opened(TERMINAL, { tell: true });
    const watcher = await Watcher.open(admin, id);
    await eventually(() => expect(client.text(1)).toBe("\r\n[Sallyport: admin@example.com watches this session]\r\n"));
    await watcher.shows("admin@example.com watches this session");
    watcher.close();
    await eventually(() => expect(client.text(1)).toContain("admin@example.com no longer watches this session"));
    pod.send(SUCCESS);
    pod.close(1000);
    expect(await recordedText(id)).toContain("admin@example.com no longer watches this session");
  });

  it("reads it on stderr without a terminal, and never in what the command prints", async () => {
    const { client, pod, id } = await opened(WITHOUT, { tell: true });
    await Watcher.open(admin, id);
    await eventually(() => expect(client.text(2)).toBe("[Sallyport: admin@example.com watches this session]\n"));
    pod.send(frame(1, "output"));
    await eventually(() => expect(client.text(1)).toBe("output"));
    client.close(1000);
  });

  it("of a command whose client takes no stderr reads nothing", async () => {
    const { client, pod, id } = await opened("command=sh&stdout=true", { tell: true });
    const watcher = await Watcher.open(admin, id);
    pod.send(frame(1, "output"));
    await watcher.shows("output");
    await eventually(() => expect(client.text(1)).toBe("output"));
    expect(client.text(2)).toBe("");
    client.close(1000);
  });

  it("without it reads nothing", async () => {
    const { client, pod, id } = await opened(TERMINAL);
    const watcher = await Watcher.open(admin, id);
    pod.send(frame(1, "output"));
    await watcher.shows("output");
    await eventually(() => expect(client.text(1)).toBe("output"));
    client.close(1000);
  });
});

describe("an administrator's message", () => {
  it("is shown as Sallyport's, without control characters, in the recording and in the audit log", async () => {
    const { person, client, pod, id } = await opened(TERMINAL);
    const response = await say(admin, id, "please\u001b]52;c;x\u0007stop\r\n");
    expect(await response.json()).toEqual({ shown: "please ]52;c;x stop" });
    await eventually(() => expect(client.text(1)).toBe("\r\n[Sallyport: admin@example.com: please ]52;c;x stop]\r\n"));
    pod.send(frame(1, "goes on"));
    await eventually(() => expect(client.text(1)).toContain("goes on"));
    pod.send(SUCCESS);
    pod.close(1000);
    expect(await recordedText(id)).toContain("please ]52;c;x stop");
    const { results } = await eventually(async () => {
      const found = await env.AUDIT_DB.prepare("SELECT data FROM events WHERE user = ? AND type = 'message'")
        .bind(person.email)
        .all<{ data: string }>();
      expect(found.results).toHaveLength(1);
      return found;
    });
    const data = { user: person.email, session: id, by: "admin@example.com", text: "please ]52;c;x stop" };
    expect(results.map((row) => JSON.parse(row.data))).toEqual([data]);
    expect(await brokenLinks(person.email)).toEqual([]);
  });

  it("waits for the end of a message of the cluster's", async () => {
    const { client, pod, id } = await opened(TERMINAL);
    const output = "#".repeat(200 * 1024);
    for (let count = 0; count < 5; count++) {
      pod.send(frame(1, output));
      await say(admin, id, `number ${count}`);
    }
    await eventually(() => expect(client.text(1)).toContain("number 4"));
    await eventually(() => expect(client.text(1).replace(/[^#]/g, "").length).toBe(5 * output.length));
    const pieces = client.text(1).split(/\r\n\[Sallyport: [^\]]*\]\r\n/);
    for (const piece of pieces) expect(piece.length % output.length).toBe(0);
    client.close(1000);
  });

  it("is shown on the console of a virtual machine", async () => {
    const pod = await Puppet.make();
    const headers = { ...UPGRADE, "Sec-WebSocket-Protocol": "plain.kubevirt.io" };
    const client = await Client.open(upgrade(someone(), `${CONSOLE}/${pod.name}/console`, headers));
    expect((await say(admin, client.sessionId, "hello")).status).toBe(200);
    await eventually(() =>
      expect(client.received.map((message) => new TextDecoder().decode(message as Uint8Array)).join("")).toBe(
        "\r\n[Sallyport: admin@example.com: hello]\r\n",
      ),
    );
    client.close(1000);
  });

  it.each([
    ["a command without a terminal", WITHOUT, "exec", UPGRADE["Sec-WebSocket-Protocol"]],
    ["a port-forward", "", "portforward", "SPDY/3.1+portforward.k8s.io"],
  ])("is refused for %s, which is left alone", async (_, query, subresource, protocol) => {
    const pod = await Puppet.make();
    const headers = { ...UPGRADE, "Sec-WebSocket-Protocol": protocol };
    const client = await Client.open(upgrade(someone(), pod.path(query, subresource), headers));
    await expectApiDenial(await say(admin, client.sessionId, "hello"), "no_terminal", /no terminal/);
    expect(client.received).toEqual([]);
    client.close(1000);
  });

  it("is for administrators, from no other site, with a text, to a live session", async () => {
    const { person, client, id } = await opened(TERMINAL);
    expect((await say(person, id, "hello")).status).toBe(403);
    const foreign = await as(admin, `/-/admin/sessions/${id}/message`, {
      ...{ method: "POST", body: "hello", headers: { Origin: "https://evil.example" } },
    });
    await expectApiDenial(foreign, "cross_site", /another site/);
    await expectApiDenial(await say(admin, id, "\u0007 "), "bad_request", /must say what to show/);
    expect(client.text(1)).toBe("");
    client.close(1000);
    await eventually(async () => {
      await expectApiDenial(await say(admin, id, "hello"), "session_not_live", /not live/);
    });
  });
});
