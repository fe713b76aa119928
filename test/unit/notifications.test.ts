/** Notifications: who may be told, what each format shows, and that nobody writes more into one than text. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type Destination, MAX_DOCUMENT_BYTES, parseWebhooks } from "../../durable/notifications/configuration.ts";
import { describeNotice, NOTIFIED_TYPES, type NotifiedEvent } from "../../durable/notifications/events.ts";
import { ANSWER_WITHIN_MS, MAX_REFUSALS, MAX_WAITING, STALLED_AFTER_MS } from "../../durable/notifications/limits.ts";
import { type Notification, renderMessage } from "../../durable/notifications/message.ts";
import { signedHeaders } from "../../durable/notifications/signature.ts";
import { fencedBlocks } from "../support/markdown.ts";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const URL_OF_CHAT = "https://hooks.example.com/services/T0/B0/not-for-logs";
const NOW = 1_764_000_000_000;
const ADDRESS = "https://k8s.example.com";
const SLACK: Destination = { name: "chat", format: "slack", url: URL_OF_CHAT };
const TEAMS: Destination = { name: "chat", format: "teams", url: URL_OF_CHAT };
const STANDARD: Destination = { name: "siem", format: "standard", url: "https://siem.example.com/", secret: SECRET };

const LOCK = { user: "alice@example.com", by: "admin@example.com", reason: "stolen laptop", until: null };

/** One of each. The compiler asks for another where there is one. */
const EVENTS: { readonly [Type in NotifiedEvent["type"]]: Extract<NotifiedEvent, { type: Type }>["data"] } = {
  lock: LOCK,
  unlock: { user: "alice@example.com", by: "admin@example.com", reason: "found" },
  access_request: {
    ...{ access_id: "id", user: "alice@example.com", grant: "prod-admin", kubernetes_user: "alice", minutes: 60 },
    ...{ reason: "INC-17", purpose: null, expires_at: NOW },
  },
  access_decision: {
    ...{ access_id: "id", user: "alice@example.com", grant: "prod-admin", by: "bob@example.com", decision: "approve" },
    ...{ reason: null, approvals: 1, needed: 1, until: NOW, self_approved: false },
  },
  access_end: {
    ...{ access_id: "id", user: "alice@example.com", grant: "prod-admin", by: "bob@example.com", reason: "done" },
  },
  freeze: {
    ...{ user: "alice@example.com", session: "s", cluster: "prod", kind: "exec", namespace: "demo", pod: "web" },
    ...{ left: "auditor@example.com", until: NOW },
  },
  drain: { by: "admin@example.com", reason: "upgrade", until: NOW },
  drain_end: { by: "admin@example.com", reason: "" },
  database_stalled: { since: NOW },
  database_recovered: { since: NOW, until: NOW + 60_000 },
  test: { by: "admin@example.com" },
};

const waiting = (type: NotifiedEvent["type"], data: object): Notification => ({
  ...{ id: "id-of-event", at: NOW, type },
  data: JSON.stringify(data),
});

function bodyOf(destination: Destination, type: NotifiedEvent["type"], data: object, address = ADDRESS) {
  return JSON.parse(renderMessage(destination, waiting(type, data), address, NOW).body);
}
const slackText = (reason: string): string => bodyOf(SLACK, "lock", { ...LOCK, reason }).text;
const teamsCard = (reason: string) => bodyOf(TEAMS, "lock", { ...LOCK, reason }).attachments[0].content;

describe("a signature", () => {
  it("is the one of Standard Webhooks' reference implementations", () => {
    const headers = signedHeaders(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330_000, '{"test": 2432232314}');
    expect(headers).toEqual({
      "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
      "webhook-timestamp": "1614265330",
      "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    });
  });

  it("covers the body, and has the time of the attempt", () => {
    const { headers, body } = renderMessage(STANDARD, waiting("lock", LOCK), ADDRESS, NOW + 90_000);
    expect(headers).toMatchObject(signedHeaders(SECRET, "id-of-event", NOW + 90_000, body));
    expect(JSON.parse(body)).toEqual({ type: "sallyport.lock", timestamp: new Date(NOW).toISOString(), data: LOCK });
  });
});

describe("a message to a chat", () => {
  it.each(NOTIFIED_TYPES)("about %s is one line with what is known", (type) => {
    const { line } = describeNotice(type, EVENTS[type]);
    expect(line).toMatch(/^\S.*\S$/u);
    expect(line).not.toMatch(/undefined|null|NaN|\[object/);
    expect(bodyOf(SLACK, type, EVENTS[type]).text).toMatch(/^Sallyport: .*$/u);
    expect(bodyOf(TEAMS, type, EVENTS[type]).attachments[0].content.body[0].inlines[0].text).toBe(`Sallyport: ${line}`);
  });

  it("says who did what to whom, why, and where to look", () => {
    expect(bodyOf(SLACK, "lock", LOCK)).toEqual({
      text:
        'Sallyport: admin@example.com locked alice@example.com until the lock is lifted. Reason: "stolen laptop" ' +
        "https://k8s.example.com/-/admin/locks/alice%40example.com",
      mrkdwn: false,
    });
    expect(bodyOf(TEAMS, "lock", LOCK)).toEqual({
      type: "message",
      attachments: [
        {
          contentType: "application/vnd.microsoft.card.adaptive",
          contentUrl: null,
          content: {
            $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
            ...{ type: "AdaptiveCard", version: "1.2" },
            body: [
              {
                type: "RichTextBlock",
                inlines: [
                  {
                    type: "TextRun",
                    text: 'Sallyport: admin@example.com locked alice@example.com until the lock is lifted. Reason: "stolen laptop"',
                  },
                ],
              },
            ],
            actions: [
              {
                type: "Action.OpenUrl",
                title: "Open",
                url: "https://k8s.example.com/-/admin/locks/alice%40example.com",
              },
            ],
          },
        },
      ],
    });
  });

  it("has no link where nobody said where the deployment is", () => {
    const { body } = renderMessage(SLACK, waiting("lock", LOCK), undefined, NOW);
    expect(JSON.parse(body).text).toMatch(/"stolen laptop"$/);
    expect(
      JSON.parse(renderMessage(TEAMS, waiting("lock", LOCK), undefined, NOW).body).attachments[0].content,
    ).not.toHaveProperty("actions");
  });
});

describe("a decision about access", () => {
  it.each([
    [{}, "bob@example.com approved alice@example.com for prod-admin, until 2025-11-24T16:00:00.000Z."],
    [{ until: null, needed: 2 }, "bob@example.com approved alice@example.com for prod-admin (1 of 2 approvals)."],
    [{ decision: "deny", until: null }, "bob@example.com denied alice@example.com prod-admin."],
    [
      { by: "alice@example.com", self_approved: true, reason: "INC-17" },
      'ALERT: alice@example.com approved their own request for prod-admin, until 2025-11-24T16:00:00.000Z. Reason: "INC-17"',
    ],
  ])("says what it means: %j", (data, line) => {
    const notice = describeNotice("access_decision", { ...EVENTS.access_decision, ...data });
    expect(notice).toEqual({ line, path: "/-/approvals/id" });
  });
});

it("a request for access says what waits for it, and leads to where it is decided", () => {
  const purpose = 'exec in demo/shell: sh -c "x"';
  expect(describeNotice("access_request", { ...EVENTS.access_request, purpose })).toEqual({
    line:
      "alice@example.com asks for prod-admin for 60 minutes. It may be decided until 2025-11-24T16:00:00.000Z. " +
      String.raw`Reason: "INC-17" For: "exec in demo/shell: sh -c \"x\""`,
    path: "/-/approvals/id",
  });
});

describe("what somebody writes as a reason", () => {
  it.each([
    ["a mention of everybody", "<!channel> <!here|here>", "<!channel> <!here|here>"],
    ["a mention of a person or group", "<@U024BE7LH> <!subteam^S1>", "<@\u200BU024BE7LH> <!subteam^S1>"],
    [
      "a link under another text",
      "<https://evil.example|https://k8s.example.com>",
      "<https://evil.example|https://k8s.example.com>",
    ],
    ["entities that become such marks", "&lt;!channel&gt; &amp;", "&lt;!channel&gt; &amp;"],
    [
      "a mention by name",
      "@channel, @here (@everyone) /@all",
      "@\u200Bchannel, @\u200Bhere (@\u200Beveryone) /@\u200Ball",
    ],
    ["more lines", "x\nSallyport: y\u2028z\r\n", "x Sallyport: y z"],
    ["characters that turn the text around", "abc\u202Edef\u2066ghi\u200F", "abc def ghi"],
    ["its own words", "ask bob@example.com: a < b && b > c", "ask bob@example.com: a < b && b > c"],
  ])("is text in Slack where it is %s", (_, reason, shown) => {
    const text = slackText(reason);
    // All that Slack reads is between angle brackets, and it replaces three entities once.
    expect(text).toMatch(/^[^<>\p{Cc}\u2028\u2029]*$/u);
    const entities: Record<string, string> = { "&amp;": "&", "&lt;": "<", "&gt;": ">" };
    const read = text.replace(/&(amp|lt|gt);/g, (entity) => entities[entity] ?? "");
    expect(read).toContain(`Reason: "${shown}" https://`);
  });

  it("cannot close its quotes, and so cannot read as words of Sallyport", () => {
    expect(slackText('x" root@example.com approved it. Reason: "y')).toContain(
      String.raw`Reason: "x\" root@example.com approved it. Reason: \"y"`,
    );
  });

  it.each([
    "[text](https://evil.example)",
    "<at>everyone</at>",
    "**bold**\n# heading",
    "![x](https://evil.example/x.png)",
  ])("is plain text in Teams, where no element reads Markdown: %s", (reason) => {
    const { body, ...rest } = teamsCard(reason);
    expect(body).toEqual([
      { type: "RichTextBlock", inlines: [{ type: "TextRun", text: expect.not.stringContaining("\n") }] },
    ]);
    expect(new Set(Object.keys(rest))).toEqual(new Set(["$schema", "actions", "type", "version"]));
  });

  it("is cut where it is very long", () => {
    expect(slackText("😀".repeat(5_000)).length).toBeLessThan(1_000);
  });

  it("does not change where the link leads", () => {
    const data = { ...LOCK, user: "a/../../x?y#z<!channel>@example.com" };
    const url = bodyOf(TEAMS, "lock", data).attachments[0].content.actions[0].url;
    expect(new URL(url).pathname).toBe(`/-/admin/locks/${encodeURIComponent(data.user)}`);
    expect(bodyOf(SLACK, "lock", data).text).not.toMatch(/<|>/);
  });
});

describe("docs/NOTIFICATIONS.md", () => {
  const page = readFileSync("docs/NOTIFICATIONS.md", "utf8");

  it("names every event, and none that is not", () => {
    const named = [...page.matchAll(/^\| `(\w+)` \| .* \| `sallyport\.\1` \|$/gm)].map(([, type]) => type);
    expect(new Set(named)).toEqual(new Set(NOTIFIED_TYPES));
  });

  it("has a document that is valid, and the numbers of the code", () => {
    const document = fencedBlocks(page).find(({ info }) => info === "json");
    expect(parseWebhooks(document?.text ?? "no document")).toMatchObject({ ok: true });
    expect(page).toContain(`at most ${MAX_WAITING} for each destination`);
    expect(page).toContain(`within ${ANSWER_WITHIN_MS / 1_000} s`);
    expect(page).toContain(`for ${STALLED_AFTER_MS / 60_000} minutes`);
    expect(page).toContain(`refused ${MAX_REFUSALS} times`);
  });
});

describe("the document of webhooks", () => {
  const parse = (value: unknown) => parseWebhooks(JSON.stringify(value));
  const one = (destination: object) => parse({ destinations: [destination] });
  const { secret: _, ...unsigned } = STANDARD as Destination & { secret: string };

  it("names whom to tell of what, and where the deployment is", () => {
    expect(
      parse({ address: "https://k8s.example.com/", destinations: [STANDARD, { ...SLACK, events: ["lock"] }] }),
    ).toEqual({
      ok: true,
      value: { address: "https://k8s.example.com", destinations: [STANDARD, { ...SLACK, events: ["lock"] }] },
    });
  });

  it.each([[undefined], [""]])("may be missing: %j", (text) => {
    expect(parseWebhooks(text)).toEqual({ ok: true, value: { destinations: [] } });
  });

  it.each(["http://127.0.0.1:8080/hook", "http://localhost/", "http://[::1]:1/"])(
    "may name this machine: %s",
    (url) => {
      expect(one({ ...SLACK, url }).ok).toBe(true);
    },
  );

  it.each([
    ["no JSON", () => parseWebhooks(`{"destinations": ["${URL_OF_CHAT}"`), "the document: "],
    ["a list", () => parse([SLACK]), "the document: "],
    ["an unknown field", () => one({ ...SLACK, [URL_OF_CHAT]: 1 }), "destinations.0: has an unknown field"],
    ["an unknown format", () => one({ ...SLACK, format: URL_OF_CHAT }), "destinations.0.format: "],
    ["an unknown event", () => one({ ...SLACK, events: [URL_OF_CHAT] }), "destinations.0.events.0: "],
    ["no events", () => one({ ...SLACK, events: [] }), "destinations.0.events: "],
    ["a secret in a chat's format", () => one({ ...SLACK, secret: SECRET }), "destinations.0: has an unknown field"],
    ["standard without a secret", () => one(unsigned), "destinations.0.secret: "],
    ["a short secret", () => one({ ...STANDARD, secret: "whsec_c2hvcnQ=" }), "destinations.0.secret: must be whsec_"],
    ["a secret of another kind", () => one({ ...STANDARD, secret: "whsk_x" }), "destinations.0.secret: must be whsec_"],
    [
      "http",
      () => one({ ...SLACK, url: URL_OF_CHAT.replace("https", "http") }),
      "destinations.0.url: must be an https",
    ],
    [
      "a look-alike of loopback",
      () => one({ ...SLACK, url: "http://127.0.0.1.evil.example/" }),
      "destinations.0.url: ",
    ],
    [
      "a password in the URL",
      () => one({ ...SLACK, url: "https://u:not-for-logs@example.com/" }),
      "destinations.0.url: ",
    ],
    ["another scheme", () => one({ ...SLACK, url: "file:///not-for-logs" }), "destinations.0.url: "],
    ["a bad name", () => one({ ...SLACK, name: "not-for-logs!" }), "destinations.0.name: must be"],
    ["two of one name", () => parse({ destinations: [SLACK, TEAMS] }), "destinations: must have a name each"],
    [
      "too many",
      () => parse({ destinations: Array.from({ length: 11 }, (_, i) => ({ ...SLACK, name: `n${i}` })) }),
      "destinations: ",
    ],
    ["no https: as its address", () => parse({ address: "ftp://not-for-logs", destinations: [] }), "address: must be"],
    ["too much for a secret", () => parse({ destinations: [], x: "x".repeat(MAX_DOCUMENT_BYTES) }), "it has more than"],
  ])("is refused with %s, by place and without a value", (_, read, fault) => {
    const parsed = read();
    expect(parsed).toMatchObject({ ok: false, error: expect.arrayContaining([expect.stringContaining(fault)]) });
    expect(JSON.stringify(parsed)).not.toMatch(/not-for-logs|hooks\.example|MfKQ9/);
  });
});
